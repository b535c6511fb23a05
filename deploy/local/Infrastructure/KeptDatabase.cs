using System.Text.Json;

namespace Huzhu.Local.Infrastructure;

/// <summary>The databases of the last demo, kept until the next one so that its logs can be audited.</summary>
/// <param name="Run">Id of the run that made it.</param>
/// <param name="Data">PostgreSQL's data folder.</param>
public sealed record KeptDatabase(string Run, string Data, string Password)
{
    static string FolderOf(Repository repository) => Path.Combine(repository.LocalFolder, "last");
    static string DescriptionOf(Repository repository) => Path.Combine(FolderOf(repository), "database.json");

    /// <returns>Null when no demo has left anything.</returns>
    public static KeptDatabase? Find(Repository repository) =>
        File.Exists(DescriptionOf(repository)) ? JsonSerializer.Deserialize<KeptDatabase>(File.ReadAllText(DescriptionOf(repository))) : null;

    /// <summary>Takes over the data folder of a server that has stopped, in the place of what was kept before.</summary>
    internal static void Keep(Repository repository, string run, string data, string password)
    {
        Forget(repository);
        // Others may pass through: the server's user must reach its data.
        PrivateFiles.CreateFolder(FolderOf(repository), UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        var server = Path.GetDirectoryName(data)!;
        // Where the server's user cannot reach the clone, the data stay where they are.
        var kept = server.StartsWith(repository.RunsFolder, StringComparison.Ordinal)
            ? Path.Combine(FolderOf(repository), "postgres")
            : Path.Combine(Path.GetDirectoryName(server)!, $"huzhu-{run}-kept");
        Directory.Move(data, kept);
        PrivateFiles.Write(DescriptionOf(repository), JsonSerializer.Serialize(new KeptDatabase(run, kept, password)));
    }

    /// <summary>Removes what was kept.</summary>
    public static void Forget(Repository repository)
    {
        if (Find(repository) is { } kept && Directory.Exists(kept.Data)) Directory.Delete(kept.Data, recursive: true);
        if (Directory.Exists(FolderOf(repository))) Directory.Delete(FolderOf(repository), recursive: true);
    }

    /// <summary>Starts a server on it, which ends with the run that it is started in and leaves the data where they are.</summary>
    public Task<PostgresServer> StartAsync(Installation installation, RunFolder run, CancellationToken cancellation) =>
        installation is Installation.Native native
            ? PostgresServer.StartOnAsync(native.Folder, run, Data, Password, cancellation)
            : throw new MissingRequirementException("The last demo's data need a PostgreSQL of this machine; containers keep none.");
}
