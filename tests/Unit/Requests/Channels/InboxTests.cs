using System.Collections.Concurrent;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Intake;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Huzhu.Tests.Unit.Requests.Channels;

/// <summary>The front end's patience, with a clock of the test's own, and what is told when the database is back.</summary>
public sealed class InboxTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(1500);
    private readonly string _folder = Directory.CreateTempSubdirectory("huzhu-inbox-").FullName;
    private readonly FakeTimeProvider _time = new();
    private readonly ConcurrentQueue<string> _heard = [];
    private readonly ConcurrentQueue<(string Ref, string Key, string? Text)> _told = [];
    private volatile bool _isAway, _sheds;
    private readonly Spool _spool;

    public InboxTests() => _spool = new Spool(Settings(), new SpoolTests.Environment());

    public void Dispose()
    {
        _spool.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private IConfiguration Settings(string? patience = null) => new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
    {
        [Spool.FolderKey] = _folder,
        [Inbox.PatienceKey] = patience,
        ["PersonalData:MasterKey"] = Convert.ToBase64String(new byte[32]),
    }).Build();

    private Inbox Open(Hearing hear, Telling? tell = null) => new(hear, tell ?? TellAsync, _spool, Settings(), _time, NullLogger<Inbox>.Instance);

    private Task<Answer?> HearAsync(Correspondent who, Utterance said, bool othersWait, CancellationToken cancellation)
    {
        if (_isAway)
            throw new HttpRequestException("away");
        // As a conversation does while needs are shed.
        if (said.Text != "救命" && (othersWait || _sheds))
            return Task.FromResult<Answer?>(null);
        _heard.Enqueue(said.Key);
        return Task.FromResult<Answer?>(new Answer($"heard {said.Key}", Reply.Confirm, Language.En));
    }

    private Task TellAsync(Correspondent who, string key, Answer answer, CancellationToken cancellation)
    {
        _told.Enqueue((who.Ref, key, answer.Text));
        return Task.CompletedTask;
    }

    private static Correspondent Who(string name, string channel = "wechat") => new($"{channel}-main", channel, name, null, new ContactChannel(channel, $"main/{name}"), true, Language.En);

    private static Utterance Said(string key, string text = "food") => new(key, text, null, null, false, Given.Now);

    [Fact]
    public async Task a_message_that_the_log_does_not_take_in_time_is_on_the_disk_when_the_front_end_is_answered()
    {
        using var inbox = Open((_, _, _, _) => new TaskCompletionSource<Answer?>().Task);
        var taking = inbox.TakeAsync(Who("a"), Said("1"));
        _time.Advance(Patience - TimeSpan.FromMilliseconds(1));
        Assert.False(taking.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(Reply.Later, (await taking).Reply);
        Assert.Equal("1", _spool.Peek()!.Said.Key);
        Assert.Contains(Directory.GetFiles(_folder), file => new FileInfo(file).Length > 0);

        // And nobody behind it waits at all.
        Assert.Equal(Reply.Later, (await inbox.TakeAsync(Who("b"), Said("2"))).Reply);
        Assert.Equal(2, _spool.Count);
    }

    [Fact]
    public async Task when_the_database_is_back_all_is_taken_in_in_order_and_each_person_is_answered_once()
    {
        _isAway = true;
        using var inbox = Open(HearAsync);
        foreach (var (who, key) in new[] { ("a", "1"), ("b", "2"), ("a", "1"), ("a", "3") })
            Assert.Equal(Reply.Later, (await inbox.TakeAsync(Who(who), Said(key))).Reply);
        await inbox.TakeAsync(Who("c", "phone"), Said("4"));
        _isAway = false;
        await inbox.StartAsync(TestContext.Current.CancellationToken);
        while (_heard.Count < 5 || _spool.Count > 0)
            await Task.Delay(10, TestContext.Current.CancellationToken);
        await inbox.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["1", "2", "1", "3", "4"], _heard);
        // A call is over, and is not answered by another.
        Assert.Equal([("b", "2", "heard 2"), ("a", "3", "heard 3")], _told);
    }

    [Fact]
    public async Task while_needs_are_shed_messages_wait_on_the_disk_and_danger_of_life_waits_for_none_of_them()
    {
        _sheds = true;
        using var inbox = Open(HearAsync);
        await inbox.StartAsync(TestContext.Current.CancellationToken);
        Assert.Equal(Reply.Later, (await inbox.TakeAsync(Who("a"), Said("1"))).Reply);
        Assert.Equal(Reply.Later, (await inbox.TakeAsync(Who("b"), Said("2"))).Reply);
        Assert.Equal("heard 3", (await inbox.TakeAsync(Who("a"), Said("3", "救命"))).Text);
        Assert.Equal(2, _spool.Count);

        // What the database being away has put there of danger of life goes out before them.
        _isAway = true;
        Assert.Equal(Reply.Later, (await inbox.TakeAsync(Who("c"), Said("4", "救命"))).Reply);
        _isAway = false;
        while (_spool.Count > 2)
            await Task.Delay(10, TestContext.Current.CancellationToken);
        Assert.Equal(["3", "4"], _heard);

        _sheds = false;
        while (_spool.Count > 0)
            await Task.Delay(10, TestContext.Current.CancellationToken);
        await inbox.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["3", "4", "1", "2"], _heard);
        Assert.Equal([("c", "4"), ("a", "1"), ("b", "2")], _told.Select(told => (told.Ref, told.Key)));
    }

    [Fact]
    public async Task whoever_has_messages_waiting_is_heard_after_them_and_others_at_once()
    {
        _isAway = true;
        using var inbox = Open(HearAsync);
        await inbox.TakeAsync(Who("a"), Said("1"));
        _isAway = false;
        using var next = Open(HearAsync);
        Assert.Equal(Reply.Later, (await next.TakeAsync(Who("a"), Said("2"))).Reply);
        Assert.Equal("heard 3", (await next.TakeAsync(Who("b"), Said("3"))).Text);
    }

    [Fact]
    public async Task an_answer_that_cannot_be_sent_holds_up_nobody()
    {
        _isAway = true;
        using var inbox = Open(HearAsync, (_, _, _, _) => throw new HttpRequestException("away"));
        await inbox.TakeAsync(Who("a"), Said("1"));
        await inbox.TakeAsync(Who("b"), Said("2"));
        _isAway = false;
        await inbox.StartAsync(TestContext.Current.CancellationToken);
        while (_spool.Count > 0)
            await Task.Delay(10, TestContext.Current.CancellationToken);
        await inbox.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["1", "2"], _heard);
    }

    [Fact]
    public async Task one_caller_who_sends_too_much_is_told_and_takes_nobody_elses_room()
    {
        using var inbox = Open(HearAsync);
        var heard = 0;
        Answer answer;
        while ((answer = await inbox.TakeAsync(Who("a"), Said($"{heard}"))).Reply != Reply.TooMany)
            Assert.InRange(++heard, 1, 1000);
        Assert.InRange(heard, 30, 1000);
        Assert.Contains("120", answer.Text);
        Assert.Equal(heard, _heard.Count);
        Assert.Equal("heard b1", (await inbox.TakeAsync(Who("b"), Said("b1"))).Text);
        // What was refused is not kept either: the caller has been told so.
        Assert.Equal(0, _spool.Count);
    }

    [Theory]
    [InlineData("99")]
    [InlineData("15001")]
    [InlineData("soon")]
    public void a_bad_patience_is_named(string patience) => Assert.Contains(Inbox.PatienceKey,
        Assert.Throws<InvalidOperationException>(() => new Inbox(HearAsync, TellAsync, _spool, Settings(patience), _time, NullLogger<Inbox>.Instance)).Message);
}
