using System.Globalization;

namespace Huzhu.Local.Infrastructure;

/// <summary>The user that a server runs as when we are root: PostgreSQL refuses to run as root.</summary>
sealed record SystemUser(string Name, int Uid, int Gid)
{
    /// <returns>Null when this program does not run as root: then servers run as whoever we are.</returns>
    public static SystemUser? ForServers()
    {
        if (!Environment.IsPrivilegedProcess) return null;
        var users = File.ReadLines("/etc/passwd").Select(line => line.Split(':')).Where(f => f.Length >= 4).ToList();
        var fields = users.Find(f => f[0] == "postgres") ?? users.Find(f => f[0] == "nobody")
            ?? throw new MissingRequirementException("PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody to run it as.");
        if (Tool.Find("setpriv") is null)
            throw new MissingRequirementException("PostgreSQL refuses to run as root, and setpriv (package util-linux) was not found to run it as another user.");
        return new SystemUser(fields[0], int.Parse(fields[2], CultureInfo.InvariantCulture), int.Parse(fields[3], CultureInfo.InvariantCulture));
    }

    /// <summary>setpriv becomes the program instead of starting it, so the process id stays that of the server.</summary>
    public (string Program, IReadOnlyList<string> Arguments) Run(string program, IEnumerable<string> arguments) =>
        ("setpriv", ["--reuid", $"{Uid}", "--regid", $"{Gid}", "--clear-groups", program, .. arguments]);
}
