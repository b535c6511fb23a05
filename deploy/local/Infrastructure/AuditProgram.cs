namespace Huzhu.Local.Infrastructure;

/// <summary>The audit's program and where it keeps what it seals: <c>.local/audit</c>, a folder for each run beside one key.</summary>
public static class AuditProgram
{
    static string Folder(Repository repository) => Path.Combine(repository.LocalFolder, "audit");

    /// <summary>Its settings for the logs of one run; the key is made with the first.</summary>
    public static async Task<Dictionary<string, string?>> SettingsAsync(
        Repository repository, string run, IReadOnlyDictionary<string, string> databases, CancellationToken cancellation)
    {
        PrivateFiles.CreateFolder(Folder(repository));
        Forget(repository, run);
        var key = Path.Combine(Folder(repository), "key");
        if (!File.Exists(key))
        {
            var made = await Tool.RunAsync(DotNet.Program, [repository.ServiceAssembly("audit"), "key", key], TimeSpan.FromSeconds(30), cancellation: cancellation);
            if (!made.Succeeded) throw new DidNotStartException($"The signing key could not be made: {made.Tail}");
            File.WriteAllText(key + ".public", made.Output);
        }

        var settings = databases.ToDictionary(database => $"ConnectionStrings__{database.Key}", database => (string?)database.Value);
        settings["Audit__Folder"] = Path.Combine(Folder(repository), run);
        settings["Audit__KeyFile"] = key;
        return settings;
    }

    /// <summary>Seals the logs of what runs, for as long as it runs: every minute, and as soon as so many events are new.</summary>
    public static async Task KeepSealingAsync(Repository repository, RunFolder run, IReadOnlyDictionary<string, string> databases, int events, CancellationToken cancellation) =>
        run.Start(new ChildStart(
            "audit-seal", DotNet.Program,
            [repository.ServiceAssembly("audit"), "seal", "--every", "60", "--events", $"{events}"],
            await SettingsAsync(repository, run.Id, databases, cancellation),
            Path.Combine(run.LogsFolder, "audit-seal.log")));

    /// <summary>Removes what was sealed of runs whose logs are gone, but for the newest: somebody may still want to look at it.</summary>
    static void Forget(Repository repository, string run)
    {
        var living = RunFolder.Existing(repository).Select(existing => existing.Id).Append(run).Append(KeptDatabase.Find(repository)?.Run).ToHashSet();
        var gone = Directory.EnumerateDirectories(Folder(repository)).Where(folder => !living.Contains(Path.GetFileName(folder)));
        foreach (var folder in gone.OrderDescending(StringComparer.Ordinal).Skip(1))
            Directory.Delete(folder, recursive: true);
    }
}
