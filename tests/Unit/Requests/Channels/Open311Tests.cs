using Huzhu.Contracts;
using Huzhu.Requests.Channels.Open311;
using Huzhu.Requests.Domain;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Huzhu.Tests.Unit.Requests.Channels;

/// <summary>The settings of Open311, and what the life of a request is called there.</summary>
public class Open311Tests
{
    private const string Section = "Channels:Open311:Jurisdictions";

    private static Jurisdictions Read(params (string Key, string? Value)[] changes)
    {
        var settings = new Dictionary<string, string?>
        {
            [$"{Section}:w:ConsentBasis"] = "public-task",
            [$"{Section}:w:Keys:Desk:Secret"] = "0123456789abcdef",
            [$"{Section}:w:Keys:Desk:Scopes"] = "submit, read",
        };
        foreach (var (key, value) in changes)
            settings[$"{Section}:{key}"] = value;
        return new Jurisdictions(new ConfigurationBuilder().AddInMemoryCollection(settings).Build());
    }

    [Theory]
    [InlineData("w:ConsentBasis", null, "w:ConsentBasis is missing")]
    [InlineData("w:ConsentBasis", "We asked", "w:ConsentBasis must be a word")]
    [InlineData("w:Id", "w district", "w:Id")]
    [InlineData("w:Keys:Desk:Secret", null, "w:Keys:Desk:Secret must be at least 16 bytes")]
    [InlineData("w:Keys:Desk:Secret", "short", "w:Keys:Desk:Secret must be at least 16 bytes")]
    [InlineData("w:Keys:Desk:Scopes", "", "w:Keys:Desk:Scopes is empty")]
    [InlineData("w:Keys:Desk:Scopes", "read write", "w:Keys:Desk:Scopes: 'write'")]
    [InlineData("w:Keys:Desk:Scopes", "none", "w:Keys:Desk:Scopes: 'none'")]
    [InlineData("w:Keys:a.b:Secret", "0123456789abcdefg", "w:Keys:a.b: a key's name")]
    [InlineData("v:ConsentBasis", "explicit", "v:Keys is empty")]
    public void a_bad_setting_is_told_with_its_key(string key, string? value, string sentence) =>
        Assert.StartsWith($"{Section}:{sentence}", Assert.Throws<InvalidOperationException>(() => Read((key, value))).Message);

    [Fact]
    public void a_secret_and_an_id_can_be_used_once()
    {
        Assert.Contains("two keys have the same Secret", Assert.Throws<InvalidOperationException>(() => Read(("w:Keys:App:Secret", "0123456789abcdef"), ("w:Keys:App:Scopes", "read"))).Message);
        Assert.Contains("the id w", Assert.Throws<InvalidOperationException>(() => Read(("v:Id", "w"), ("v:ConsentBasis", "explicit"), ("v:Keys:k:Secret", "0123456789abcdef"), ("v:Keys:k:Scopes", "read"))).Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void a_key_is_found_by_its_secret_and_nothing_else()
    {
        var jurisdiction = Read().Only!;
        var key = jurisdiction.FindKey("0123456789abcdef")!;
        Assert.Equal(Scope.Submit | Scope.Read, key.Scopes);
        Assert.Equal("open311.w.desk", jurisdiction.SourceOf(key));
        Assert.All(["", null, "0123456789abcdeF", "0123456789abcde", "0123456789abcdef0", "desk"], secret => Assert.Null(jurisdiction.FindKey(secret)));
    }

    [Fact]
    public void only_a_single_jurisdiction_is_meant_without_being_named()
    {
        Assert.NotNull(Read().Only);
        var two = Read(("v:Id", "City.Example"), ("v:ConsentBasis", "explicit"), ("v:Keys:k:Secret", "fedcba9876543210"), ("v:Keys:k:Scopes", "read"));
        Assert.Null(two.Only);
        Assert.Equal("City.Example", two.Find("city.example")!.Id);
        Assert.Null(new Jurisdictions(new ConfigurationBuilder().Build()).Only);
    }

    [Fact]
    public void every_status_is_open_or_closed() =>
        Assert.Equal(["fulfilled", "closed", "cancelled"], Enum.GetValues<RequestStatus>().Where(status => Wording.StateOf(status) == "closed").Select(Words.Of));

    [Fact]
    public void every_service_kind_has_a_name() => Assert.All(ServiceKinds.All, kind => Assert.NotEmpty(Discovery.NameOf(kind)));
}
