namespace Huzhu.Local.Infrastructure;

/// <summary>The clone that this program was built in: everything it makes lies in its folder <c>.local</c>.</summary>
public sealed record Repository(string Root)
{
    /// <summary>The services that have a log of their own.</summary>
    public static readonly IReadOnlyList<string> ServiceNames = ["requests", "groups", "matching", "notifications"];

    /// <summary>The pages, on the public interfaces of the others. It has no log and no database.</summary>
    public const string Console = "console";

    /// <summary>Reads the logs of the services; it answers over HTTP too, for the pages.</summary>
    public const string Audit = "audit";

    public string LocalFolder => Path.Combine(Root, ".local");
    public string RunsFolder => Path.Combine(LocalFolder, "runs");
    public string DescriptionFile => Path.Combine(LocalFolder, "huzhu.json");

    /// <summary>Walks up from the program, not from the working directory: the command works from anywhere.</summary>
    public static Repository Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Huzhu.slnx")))
                return new Repository(folder.FullName);
        throw new MissingRequirementException(
            $"{AppContext.BaseDirectory} is not inside a clone of the repository: Huzhu.slnx was not found above it.");
    }

    public string ServiceAssembly(string service)
    {
        var project = ProjectName(service);
        return Path.Combine(Root, "services", project, "bin", "Release", "net10.0", $"Huzhu.{project}.dll");
    }

    public string TestAssembly(string suite) =>
        Path.Combine(Root, "tests", suite, "bin", "Release", "net10.0", $"Huzhu.{suite}.dll");

    /// <summary>"requests" is the name in URLs and files, "Requests" the name of the project.</summary>
    public static string ProjectName(string service) => char.ToUpperInvariant(service[0]) + service[1..];
}
