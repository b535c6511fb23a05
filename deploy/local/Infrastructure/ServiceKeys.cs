namespace Huzhu.Local.Infrastructure;

/// <summary>The secrets of one run, all base64 of 32 bytes; see docs/operations/configuration.md.</summary>
public sealed record ServiceKeys(string Signing, string PersonalData, string OfferLinks, string Console)
{
    public static ServiceKeys Random() => new(Secrets.Key(), Secrets.Key(), Secrets.Key(), Secrets.Key());
}
