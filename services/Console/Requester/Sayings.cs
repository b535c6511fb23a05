namespace Huzhu.Web.Requester;

/// <summary>What a person says by their link, each with a name of its own, so that a form that is sent twice counts once.</summary>
public static class Sayings
{
    public static string NewId() => Guid.CreateVersion7().ToString("N");
}
