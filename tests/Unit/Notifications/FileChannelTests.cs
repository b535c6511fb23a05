using System.Text;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Notifications.Channels;
using Xunit;

namespace Huzhu.Tests.Unit.Notifications;

public sealed class FileChannelTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("huzhu-file-channel-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task a_message_is_one_line_in_the_file_that_the_address_names()
    {
        var channel = new FileChannel(_folder.FullName);
        Assert.True((await channel.SendAsync(Message(1), new Address("front-desk", null), Cancellation)).Succeeded);
        Assert.True((await channel.SendAsync(Message(2), new Address("front-desk", null), Cancellation)).Succeeded);
        Assert.Equal([1, 2], Numbers("front-desk"));
    }

    [Fact]
    public async Task without_an_address_the_audience_has_a_file_of_its_own()
    {
        await new FileChannel(_folder.FullName).SendAsync(Message(1), new Address("", null), Cancellation);
        Assert.Equal([1], Numbers("responder-1"));
    }

    /// <summary>Two channels on one folder stand for two processes: they share nothing but the file system.</summary>
    [Fact]
    public async Task concurrent_writers_lose_no_line_and_tear_none()
    {
        FileChannel[] channels = [new(_folder.FullName), new(_folder.FullName)];
        var sends = Enumerable.Range(0, 400).Select(number => Task.Run(async () =>
            await channels[number % 2].SendAsync(Message(number), new Address("shared", null), Cancellation)));
        Assert.All(await Task.WhenAll(sends), outcome => Assert.True(outcome.Succeeded));
        Assert.Equal(Enumerable.Range(0, 400), Numbers("shared").Order());
    }

    [Fact]
    public async Task a_reader_in_the_middle_does_not_stop_the_writers()
    {
        var channel = new FileChannel(_folder.FullName);
        await channel.SendAsync(Message(1), new Address("read", null), Cancellation);
        using (File.Open(PathOf("read"), FileMode.Open, FileAccess.Read, FileShare.Read))
            Assert.True((await channel.SendAsync(Message(2), new Address("read", null), Cancellation)).Succeeded);
        Assert.Equal([1, 2], Numbers("read"));
    }

    [Fact]
    public async Task half_a_line_of_a_writer_that_died_spoils_only_itself()
    {
        await File.WriteAllTextAsync(PathOf("torn"), "{\"number\": 1}\n{\"numb", Cancellation);
        await new FileChannel(_folder.FullName).SendAsync(Message(2), new Address("torn", null), Cancellation);
        Assert.Equal(["{\"number\": 1}", "{\"numb", "{\"number\":2}"], await File.ReadAllLinesAsync(PathOf("torn"), Cancellation));
    }

    [Fact]
    public async Task a_file_that_cannot_be_written_is_a_failure_that_may_pass()
    {
        Directory.CreateDirectory(PathOf("blocked"));
        var outcome = await new FileChannel(_folder.FullName).SendAsync(Message(1), new Address("blocked", null), Cancellation);
        Assert.Equal(("file-not-writable", false), (outcome.Reason, outcome.Permanent));
    }

    [Fact]
    public async Task what_was_told_about_a_person_is_forgotten_and_the_rest_stays()
    {
        var channel = new FileChannel(_folder.FullName);
        var (theirs, others, responder) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        foreach (var (file, need, audience) in new[] { ("desk", theirs, "responder"), ("desk", others, "requester"), ("desk", theirs, "requester"), ("ms-lin", theirs, "requester"), ("desk", others, "responder") })
            await channel.SendAsync(About(need, audience, responder), new Address(file, null), Cancellation);
        File.AppendAllText(PathOf("desk"), "{\"subject\":\"half a li");

        await channel.ForgetAsync((need, _) => need.Value == theirs, Cancellation);
        var left = File.ReadAllLines(PathOf("desk"));
        Assert.Equal(2, left.Length);
        Assert.All(left, line => Assert.Contains(others.ToString(), line));
        // The name of a file is an address: it goes with its last message, and no lock keeps it.
        Assert.DoesNotContain(Directory.EnumerateFiles(_folder.FullName), file => Path.GetFileName(file).Contains("lin", StringComparison.Ordinal));

        await channel.ForgetAsync((_, told) => told?.Value == responder, Cancellation);
        Assert.Contains("requester", Assert.Single(File.ReadAllLines(PathOf("desk"))));
        await channel.ForgetAsync((_, told) => told?.Value == responder, Cancellation);
        await channel.SendAsync(About(others, "responder", responder), new Address("desk", null), Cancellation);
        Assert.Equal(2, File.ReadAllLines(PathOf("desk")).Length);
    }

    private static Message About(Guid need, string audience, Guid responder) => new(new NotificationId(Guid.CreateVersion7()), "responder-1",
        Encoding.UTF8.GetBytes(new JsonObject { ["subject"] = need, ["data"] = new JsonObject { ["audience"] = audience, ["responderId"] = responder } }.ToJsonString()));

    [Theory]
    [InlineData("front-desk", null)]
    [InlineData("邻里互助", null)]
    [InlineData("", null)]
    [InlineData("../outside", "malformed-address")]
    [InlineData("a/b", "malformed-address")]
    [InlineData(".hidden", "malformed-address")]
    [InlineData("with space", "malformed-address")]
    [InlineData("newline\n", "malformed-address")]
    public void an_address_is_a_plain_file_name(string address, string? refusal) =>
        Assert.Equal(refusal, new FileChannel(_folder.FullName).Refuse(new Address(address, null)));

    private static Message Message(int number) =>
        new(new NotificationId(Guid.CreateVersion7()), "responder-1", Encoding.UTF8.GetBytes($$"""{"number":{{number}}}"""));

    private string PathOf(string name) => Path.Combine(_folder.FullName, name + ".jsonl");

    private IEnumerable<int> Numbers(string name) => File.ReadAllLines(PathOf(name)).Select(line => (int)JsonNode.Parse(line)!["number"]!);
}
