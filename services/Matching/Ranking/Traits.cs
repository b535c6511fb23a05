using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Domain;

namespace Huzhu.Matching.Ranking;

/// <summary>
/// The hard rules as bits, for <see cref="SpatialIndex"/> to skip by: whoever satisfies the rules at a site has every bit
/// that the need wants there. Not the other way round (words that are not known in advance share a bit): the rules
/// themselves decide about what the index gives.
/// </summary>
public static class Traits
{
    private const int Kinds = 14, Hashes = 15, ZoneHashes = 4;
    private const int ModeBits = Kinds, CommunicationBits = ModeBits + 2, AvailableBits = CommunicationBits + 7, ResponderBits = AvailableBits + 3,
        ServedBits = ResponderBits + 2, DistrictBits = ServedBits + Hashes, ZoneBits = DistrictBits + Hashes;

    /// <summary>Is open and has a free place.</summary>
    public const ulong Available = 1ul << AvailableBits;
    private const ulong Offline = 1ul << ModeBits + (int)DeliveryMode.Offline;
    private const ulong ServesEverywhere = ((1ul << Hashes) - 1) << ServedBits;
    private const ulong CrossesEverywhere = ((1ul << ZoneHashes + 1) - 1) << ZoneBits;

    /// <summary>Provides the service kind.</summary>
    public static ulong Of(string kind) => 1ul << BitOf(kind);

    /// <summary>Whether the bit says it all about the service kind.</summary>
    public static bool IsExact(string kind) => BitOf(kind) < Kinds - 1;

    /// <summary>
    /// Is one of the kind and available. Said by one bit: where all providers are shut nothing is searched, although open
    /// groups stand beside them.
    /// </summary>
    public static ulong AvailableAs(ResponderKind kind) => Available << 1 + (int)kind;

    public static ulong Of(ResponderKind kind) => 1ul << ResponderBits + (int)kind;

    /// <summary>Has an open site in the sub-district.</summary>
    public static ulong IsIn(string subDistrict) => 1ul << DistrictBits + Hash(subDistrict);

    /// <summary>What the rules ask at a site of whoever can be asked now.</summary>
    public static ulong WantedBy(Need need, Zones zones)
    {
        var traits = Available | Of(need.Kind) | 1ul << ModeBits + (int)need.Mode;
        foreach (var communication in need.Communication)
            traits |= 1ul << CommunicationBits + (int)communication;
        if (need.SubDistrict is { } subDistrict)
            traits |= 1ul << ServedBits + Hash(subDistrict);
        if (zones.Any && need.Mode is DeliveryMode.Offline)
            traits |= At(zones.SignatureOf(need.Place));
        return traits;
    }

    public static ulong Of(Profile profile)
    {
        var traits = Of(profile.Kind);
        foreach (var provided in profile.ServiceKinds)
        {
            traits |= Of(provided);
            if (ServiceKinds.RootOf(provided) != provided)
                continue;
            traits |= 1ul << Kinds - 1;
            foreach (var kind in ServiceKinds.All)
                traits |= ServiceKinds.Covers(provided, kind) ? Of(kind) : 0;
        }
        foreach (var mode in profile.Modes)
            traits |= 1ul << ModeBits + (int)mode;
        foreach (var ability in profile.CommunicationAbilities)
            traits |= 1ul << CommunicationBits + (int)ability;
        if (profile.SubDistricts.Count == 0)
            traits |= ServesEverywhere;
        foreach (var subDistrict in profile.SubDistricts)
            traits |= 1ul << ServedBits + Hash(subDistrict);
        return traits;
    }

    /// <summary>The traits of a responder at one of its sites. Nobody comes from one that is shut.</summary>
    public static ulong At(ulong traits, Site site) => site.Open ? traits | IsIn(site.SubDistrict) : traits & ~Offline;

    /// <summary>May help offline where the zones are those of the signature.</summary>
    public static ulong At(int zoneSignature) => 1ul << ZoneBits + (zoneSignature == 0 ? 0 : 1 + zoneSignature % ZoneHashes);

    public static ulong At(int zoneSignature, bool permit) => permit ? CrossesEverywhere : At(zoneSignature);

    private static int BitOf(string kind)
    {
        for (var bit = 0; bit < ServiceKinds.All.Count && bit < Kinds - 1; bit++)
        {
            if (ServiceKinds.All[bit] == kind)
                return bit;
        }
        return Kinds - 1;
    }

    private static int Hash(string text)
    {
        var hash = 0u;
        foreach (var letter in text)
            hash = (hash ^ letter) * 16777619;
        return (int)((hash >> 16) % Hashes);
    }
}
