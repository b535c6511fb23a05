using Huzhu.Contracts;

namespace Huzhu.Notifications.Contacts;

/// <summary>
/// How somebody can be reached. Personal data: held in memory while one message is sent, never stored. None of these
/// records prints itself, so that no log can hold one.
/// </summary>
/// <param name="Channels">In the order in which they are to be tried.</param>
/// <param name="Communication">How the person must be spoken to.</param>
/// <param name="OwnKey">The key of the request's own link, where the person is a requester.</param>
public sealed record Contact(string? Name, IReadOnlyList<ContactChannel> Channels, IReadOnlyList<CommunicationNeed> Communication, string? Language, string? OwnKey = null)
{
    public override string ToString() => nameof(Contact);
}

/// <param name="Kind">Which kind of channel: the word of a plug-in.</param>
/// <param name="Secret">What messages to this address are signed with.</param>
public sealed record ContactChannel(string Kind, string Address, string? Secret)
{
    public override string ToString() => nameof(ContactChannel);
}

/// <summary>What a responder that has accepted needs to know to go there.</summary>
public sealed record Visit(string? Name, string? Phone, double? Lat, double? Lon, string? AddressText, string? Note)
{
    public override string ToString() => nameof(Visit);
}

/// <summary>What another service said to a question.</summary>
public abstract record Answer<T>
{
    public sealed record Found(T Value) : Answer<T>;

    /// <summary>It was there, and the person behind it has been erased.</summary>
    public sealed record Erased : Answer<T>;

    public sealed record Unknown : Answer<T>;

    /// <summary>No answer that means anything; ask again later.</summary>
    /// <param name="Reason">A reason code.</param>
    public sealed record Unavailable(string Reason) : Answer<T>;
}
