using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Unit.ServiceDefaults;

public class DeterministicIdTests
{
    [Fact]
    public void the_vector_of_RFC_9562_is_met() =>
        Assert.Equal(Guid.Parse("2ed6657d-e927-568b-95e1-2665a8aea6a2"),
            DeterministicId.Of(Guid.Parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "www.example.com"));

    [Fact]
    public void another_name_or_another_space_is_another_id()
    {
        var space = Guid.NewGuid();
        Assert.NotEqual(DeterministicId.Of(space, "a"), DeterministicId.Of(space, "b"));
        Assert.NotEqual(DeterministicId.Of(space, "a"), DeterministicId.Of(Guid.NewGuid(), "a"));
    }
}
