using System.Security.Claims;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Which front ends a token acts for. One that has the role <c>intake</c> and names sources submits as these, and sees and
/// changes the requests of these; of others it is not told whether there are any. Whoever runs the centre sees all.
/// </summary>
public sealed class FrontEndScope(IConfiguration configuration)
{
    /// <summary>Configuration: whether a token that names no source acts for none, instead of for all.</summary>
    public const string RequireSource = "Auth:RequireSource";

    private readonly bool _isRequired = configuration.GetValue(RequireSource, false);

    /// <returns>The sources that the token may act for; null for all.</returns>
    public IReadOnlyList<string>? Acting(ClaimsPrincipal user)
    {
        if (user.IsInRole(Roles.Operator))
            return null;
        string[] named = [.. user.FindAll("source").Select(claim => claim.Value)];
        return named.Length > 0 || _isRequired ? named : null;
    }

    /// <returns>The sources whose requests the token may see; null for all.</returns>
    public IReadOnlyList<string>? Seen(ClaimsPrincipal user) => user.IsInRole(Roles.Auditor) || user.IsInRole(Roles.Service) ? null : Acting(user);

    public bool MayActFor(ClaimsPrincipal user, string source) => Acting(user) is not { } own || own.Contains(source);

    public bool MaySee(ClaimsPrincipal user, string source) => Seen(user) is not { } seen || seen.Contains(source);

    public static IResult NotYourSource => Problems.Of(StatusCodes.Status403Forbidden, "not-your-source", "The token does not name this source as one that it acts for.");
}
