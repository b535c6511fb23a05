using Huzhu.Contracts;

namespace Huzhu.Notifications.Domain;

/// <summary>What a kind of channel can do.</summary>
/// <param name="Text">The person reads it.</param>
/// <param name="Voice">The person hears it.</param>
public sealed record ChannelAbilities(bool Text, bool Voice)
{
    /// <summary>The table of what each communication need asks of a channel. A hard rule: there is no "better than nothing".</summary>
    public bool Carries(CommunicationNeed need) => need switch
    {
        // No channel signs; to a person who signs a ringing phone is silence, and text is what remains.
        CommunicationNeed.SignLanguage => Text,
        CommunicationNeed.TextOnly => Text,
        CommunicationNeed.VoiceOnly => Voice,
        CommunicationNeed.ScreenReader => Text,
        CommunicationNeed.EasyRead => Text,
        // Somebody else takes the message and passes it on, in whatever form it comes.
        CommunicationNeed.Interpreter or CommunicationNeed.Proxy => Text || Voice,
    };
}
