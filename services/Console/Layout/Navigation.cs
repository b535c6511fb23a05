using System.Security.Claims;
using Huzhu.ServiceDefaults;

namespace Huzhu.Web.Layout;

/// <summary>An entry of the navigation: which roles see it, where it leads, what it is called and what one does there.</summary>
/// <param name="Section">Pages whose path begins so belong to it.</param>
/// <param name="Text">Key of its name; <c>{Text}.lede</c> says in a sentence what it is for.</param>
public sealed record Navigation(string Section, string Path, string Text, params string[] Roles)
{
    public static readonly IReadOnlyList<Navigation> All =
    [
        new("/calls", "/calls/new", "nav.calls", ServiceDefaults.Roles.Intake, ServiceDefaults.Roles.Operator),
        new("/operator", "/operator", "nav.operator", ServiceDefaults.Roles.Operator),
        new("/board", "/board", "nav.board", ServiceDefaults.Roles.Operator, ServiceDefaults.Roles.Auditor),
        new("/audit", "/audit", "nav.audit", ServiceDefaults.Roles.Auditor),
    ];

    public static IEnumerable<Navigation> For(ClaimsPrincipal user) => All.Where(entry => entry.Roles.Any(user.IsInRole));
}
