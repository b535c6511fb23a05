using Huzhu.Contracts;
using Huzhu.Notifications.Domain;

namespace Huzhu.Notifications.Channels;

/// <summary>
/// A way to reach people. A new one is one class that implements this, and one line of registration in
/// <see cref="Installed.AddChannels"/>; the choice, the retries and the record come by themselves. See
/// docs/integrators/write-your-own-channel.md.
/// </summary>
public interface IChannel
{
    /// <summary>The word that contacts name this channel with: lower-case letters and dashes.</summary>
    string Kind { get; }

    ChannelAbilities Abilities { get; }

    /// <summary>Why this address can never be used, as a reason code; null when it may be tried. No I/O.</summary>
    string? Refuse(Address address);

    /// <summary>
    /// Who speaks when the person at this address answers on the same channel: then offers are told with numbers to answer by
    /// instead of links. Null: nobody can answer there.
    /// </summary>
    Replier? RepliesFrom(Address address) => null;

    /// <summary>
    /// One attempt, within seconds. It may be repeated with the same message id after a crash, so that the receiver can
    /// see the repeat. Expected failures are outcomes; an exception is a bug.
    /// </summary>
    Task<SendOutcome> SendAsync(Message message, Address address, CancellationToken cancellation);
}

/// <summary>A channel that keeps messages where others read them, and so must be able to forget some.</summary>
public interface IKeepsMessages
{
    /// <summary>Removes every message that is theirs, and returns when nothing of it is left. May be called again.</summary>
    /// <exception cref="IOException">Somebody holds what is kept; to be called again.</exception>
    Task ForgetAsync(KeptMessage isTheirs, CancellationToken cancellation);
}

/// <summary>Whether a message that was kept is to be forgotten.</summary>
/// <param name="need">The need that it is about.</param>
/// <param name="told">The responder that it was told to; null when it was told to a requester.</param>
public delegate bool KeptMessage(NeedId need, ResponderId? told);

/// <summary>Where to send to. Personal data; it does not print itself.</summary>
/// <param name="Secret">What the receiver expects the message to be signed with, where the channel signs.</param>
public sealed record Address(string Value, string? Secret)
{
    public override string ToString() => nameof(Address);
}

/// <summary>A person as a front end names it when it takes a message in. Personal data; it does not print itself.</summary>
/// <param name="Source">The front end's name, as in an intake.</param>
/// <param name="Ref">The front end's name for the person.</param>
public sealed record Replier(string Source, string Ref)
{
    public override string ToString() => nameof(Replier);
}

/// <param name="Id">The same on every attempt.</param>
/// <param name="AudienceKey">A name for the audience that is safe as a file name.</param>
/// <param name="Body">A CloudEvent in JSON.</param>
public sealed record Message(NotificationId Id, string AudienceKey, ReadOnlyMemory<byte> Body)
{
    public override string ToString() => $"{nameof(Message)} {Id}";
}

public static class Installed
{
    public static IServiceCollection AddChannels(this IServiceCollection services, IConfiguration configuration)
    {
        var webhooks = WebhookOptions.Read(configuration);
        services.AddSingleton(webhooks);
        services.AddSingleton<IChannel>(provider => new WebhookChannel(webhooks, provider.GetRequiredService<TimeProvider>()));
        // With slots and circuits of its own: what subscribers hear must not use up those of the host that tells people.
        services.AddKeyedSingleton<IChannel>(Subscriptions.Lane, (provider, _) =>
            new WebhookChannel(webhooks, provider.GetRequiredService<TimeProvider>(), WebhookChannel.PatientWaitForHost));
        if (configuration["Channels:File:Folder"] is { Length: > 0 } folder)
            services.AddSingleton<IChannel>(new FileChannel(folder));
        if (WeChatSender.Read(configuration) is { Count: > 0 } accounts)
            services.AddSingleton<IChannel>(provider => WeChatChannel.Create(accounts, provider));
        if (GatewaySender.Read(configuration) is { Count: > 0 } gateways)
            services.AddSingleton<IChannel>(provider => new SmsChannel(gateways, provider.GetRequiredService<TimeProvider>()))
                .AddSingleton<IChannel>(provider => new VoiceChannel(gateways, provider.GetRequiredService<TimeProvider>()));
        return services;
    }
}
