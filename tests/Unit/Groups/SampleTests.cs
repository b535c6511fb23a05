using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;
using Xunit;
using Messages = Huzhu.Contracts.Groups.V1;

namespace Huzhu.Tests.Unit.Groups;

/// <summary>
/// Frozen samples of everything that this service has ever stored or published. A change that cannot read them, or that
/// reads and writes them differently, breaks logs that exist. Add samples; never edit one.
/// </summary>
public class SampleTests
{
    private static readonly Marten.Services.SystemTextJsonSerializer Store = EventStore.CreateSerializer();

    public static TheoryData<Type> Stored => new((Type[])
    [
        .. EventStore.EventsOf<GroupEvent>(), .. EventStore.EventsOf<ProviderEvent>(), .. EventStore.EventsOf<MeasureEvent>(), .. EventStore.EventsOf<AlertEvent>(),
    ]);

    public static TheoryData<Type> Published => new((Type[])[typeof(Messages.ResponderChanged), typeof(Messages.MeasureImposed), typeof(Messages.MeasureLifted), typeof(Messages.ContactErased)]);

    [Theory, MemberData(nameof(Stored))]
    public void every_stored_event_reads_its_sample_and_writes_it_again(Type type)
    {
        var sample = Read("events", type);
        var happened = Store.FromJson(type, new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(sample)));
        AssertSame(sample, JsonNode.Parse(Store.ToJson(happened))!);
    }

    [Fact]
    public void an_entry_that_was_imported_reads_its_sample_and_writes_it_again()
    {
        var sample = Read("imported", typeof(ProviderRegistered));
        var happened = (ProviderRegistered)Store.FromJson(typeof(ProviderRegistered), new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(sample)));
        Assert.Equal("temporarily closed", happened.Entry.Imported!.Status);
        AssertSame(sample, JsonNode.Parse(Store.ToJson(happened))!);
    }

    [Theory, MemberData(nameof(Published))]
    public void every_published_message_reads_its_sample_and_writes_it_again(Type type)
    {
        var sample = Read("contracts", type);
        var options = MassTransit.Serialization.SystemTextJsonMessageSerializer.Options;
        AssertSame(sample, JsonSerializer.SerializeToNode(sample.Deserialize(type, options), type, options)!);
    }

    [Fact]
    public void no_sample_is_left_without_its_type()
    {
        var known = Stored.Select(row => row.Data.Name).Concat(Published.Select(row => row.Data.Name)).ToHashSet();
        Assert.All(Directory.EnumerateFiles(Folder, "*.json", SearchOption.AllDirectories), file => Assert.Contains(Path.GetFileNameWithoutExtension(file), known));
    }

    private static string Folder
    {
        get
        {
            var folder = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(folder, "Huzhu.slnx")))
                folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run inside the repository.");
            return Path.Combine(folder, "tests", "Unit", "Groups", "Samples");
        }
    }

    private static JsonNode Read(string kind, Type type)
    {
        var file = Path.Combine(Folder, kind, $"{type.Name}.json");
        Assert.True(File.Exists(file), $"{type.Name} has no sample: write one to {file}.");
        return JsonNode.Parse(File.ReadAllText(file))!;
    }

    private static void AssertSame(JsonNode sample, JsonNode written) =>
        Assert.True(JsonNode.DeepEquals(sample, written), $"Read: {sample.ToJsonString()}\nWritten: {written.ToJsonString()}");
}
