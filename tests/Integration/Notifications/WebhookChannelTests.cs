using System.Text;
using Huzhu.Contracts;
using Huzhu.Local.Infrastructure;
using Huzhu.Notifications.Channels;
using Huzhu.ServiceDefaults;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

/// <summary>The webhook channel alone, against real HTTP servers.</summary>
public sealed class WebhookChannelTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("https://10.0.0.1/hook", "private-address")]
    [InlineData("https://[::ffff:127.0.0.1]/hook", "private-address")]
    [InlineData("https://[fd00::1]/hook", "private-address")]
    [InlineData("https://2130706433/hook", "private-address")]
    [InlineData("https://0x7f.1/hook", "private-address")]
    [InlineData("http://example.com/hook", "not-https")]
    [InlineData("https://user:password@example.com/", "malformed-address")]
    [InlineData("ftp://example.com/", "malformed-address")]
    [InlineData("hook", "malformed-address")]
    [InlineData("", "malformed-address")]
    [InlineData("https://example.com/hook", null)]
    public void an_address_is_judged_before_it_is_tried(string address, string? refusal)
    {
        using var channel = Channel();
        Assert.Equal(refusal, channel.Refuse(new Address(address, Case.Secret)));
    }

    [Theory]
    [InlineData(null, null, "no-secret")]
    [InlineData("whsec_c2hvcnQ=", null, "malformed-secret")]
    [InlineData(null, Case.Secret, null)]
    [InlineData(Case.Secret, null, null)]
    public void every_message_is_signed_or_not_sent(string? secret, string? defaultSecret, string? refusal)
    {
        using var channel = new WebhookChannel(new WebhookOptions(new OutboundHttp(new HashSet<string>()), defaultSecret), TimeProvider.System);
        Assert.Equal(refusal, channel.Refuse(new Address("https://example.com/hook", secret)));
    }

    [Fact]
    public void an_address_that_is_too_long_is_refused()
    {
        using var channel = Channel();
        Assert.Equal("malformed-address", channel.Refuse(new Address("https://example.com/" + new string('a', 2048), Case.Secret)));
    }

    [Fact]
    public async Task a_name_that_resolves_to_a_private_address_is_never_connected_to()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        using var channel = Channel();
        // Without TLS, so that only the check of the address stands between this message and the receiver.
        var outcome = await channel.SendAsync(Message(), new Address(receiver.Address.Replace("127.0.0.1", "localhost", StringComparison.Ordinal) + "/hook", Case.Secret), Cancellation);
        Assert.Equal(("private-address", true), (outcome.Reason, outcome.Permanent));
        Assert.Empty(receiver.At("/hook"));
    }

    [Fact]
    public async Task a_private_host_that_is_allowed_by_name_is_reached()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        using var channel = Channel("LOCALHOST");
        var address = new Address(receiver.Address.Replace("127.0.0.1", "localhost", StringComparison.Ordinal) + "/hook", Case.Secret);
        Assert.Null(channel.Refuse(address));
        Assert.True((await channel.SendAsync(Message(), address, Cancellation)).Succeeded);
        Assert.True(Assert.Single(receiver.At("/hook")).IsSignedWith(Case.Secret));
    }

    [Fact]
    public async Task a_name_that_does_not_exist_may_exist_later()
    {
        using var channel = Channel();
        var outcome = await channel.SendAsync(Message(), new Address("https://no-such-host.invalid/hook", Case.Secret), Cancellation);
        Assert.Equal(("name-not-found", false), (outcome.Reason, outcome.Permanent));
    }

    [Fact]
    public async Task a_dead_receiver_is_left_alone_for_a_while_and_found_again_when_it_is_back()
    {
        var port = FreePorts.Next();
        using var channel = Channel("127.0.0.1");
        var address = new Address($"http://127.0.0.1:{port}/hook", Case.Secret);
        var reasons = new List<string?>();
        for (var attempt = 0; attempt < 12; attempt++)
            reasons.Add((await channel.SendAsync(Message(), address, Cancellation)).Reason);
        Assert.Equal("no-answer", reasons[0]);
        Assert.Equal("circuit-open", reasons[^1]);

        await using var receiver = await WebhookReceiver.StartAsync(port);
        await Eventually.BecomesAsync(async () => (await channel.SendAsync(Message(), address, Cancellation)).Succeeded, () => "the receiver is found again");
    }

    [Fact]
    public async Task one_receiver_gets_a_limited_number_of_messages_at_once()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var release = new TaskCompletionSource();
        receiver.Behave("/hook", (_, _) => release.Task);
        using var channel = Channel("127.0.0.1");
        var address = new Address(receiver.Address + "/hook", Case.Secret);
        var sends = Enumerable.Range(0, 40).Select(_ => channel.SendAsync(Message(), address, Cancellation)).ToList();
        var busy = await Task.WhenAll(sends.Skip(16));
        Assert.All(busy, outcome => Assert.Equal(("receiver-busy", false), (outcome.Reason, outcome.Permanent)));
        release.SetResult();
        Assert.All(await Task.WhenAll(sends.Take(16)), outcome => Assert.True(outcome.Succeeded));
        Assert.Equal(16, receiver.At("/hook").Count);
    }

    [Theory]
    [InlineData(200, null, false)]
    [InlineData(204, null, false)]
    [InlineData(302, "redirect", true)]
    [InlineData(400, "http-400", true)]
    [InlineData(401, "http-401", true)]
    [InlineData(408, "http-408", false)]
    [InlineData(410, "gone", true)]
    [InlineData(429, "http-429", false)]
    [InlineData(500, "http-500", false)]
    [InlineData(503, "http-503", false)]
    public async Task what_an_answer_means(int status, string? reason, bool permanent)
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        receiver.Answer("/hook", status);
        using var channel = Channel("127.0.0.1");
        var outcome = await channel.SendAsync(Message(), new Address(receiver.Address + "/hook", Case.Secret), Cancellation);
        Assert.Equal((reason, permanent), (outcome.Reason, outcome.Permanent));
    }

    private static WebhookChannel Channel(params string[] allowedHosts) =>
        new(new WebhookOptions(new OutboundHttp(allowedHosts.ToHashSet(StringComparer.OrdinalIgnoreCase)), DefaultSecret: null), TimeProvider.System);

    private static Message Message() => new(new NotificationId(Guid.CreateVersion7()), "responder-1", Encoding.UTF8.GetBytes("{}"));
}
