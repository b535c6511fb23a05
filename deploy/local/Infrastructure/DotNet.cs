namespace Huzhu.Local.Infrastructure;

static class DotNet
{
    /// <summary>The host that runs this program, so that a second SDK on PATH makes no difference.</summary>
    public static string Program { get; } =
        Environment.ProcessPath is { } path && Path.GetFileName(path) == "dotnet" ? path : "dotnet";
}
