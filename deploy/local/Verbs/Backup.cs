using System.CommandLine;
using System.Globalization;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;

namespace Huzhu.Local.Verbs;

static class Backup
{
    public static Verb Command()
    {
        var folder = new Argument<string>("folder") { Description = "An empty folder, or one that is yet to be made." };
        var command = new Verb(
            "backup",
            "Copies the databases of ./huzhu up, and all that is written to them from now on.",
            """
            Takes a base backup of the PostgreSQL of ./huzhu up into the folder and has its write-ahead log archived there
            from then on: ./huzhu restore goes back to any moment since. Called again with the same folder it closes the
            log's current segment, so that the archive holds everything up to now.

            The folder holds what the databases hold, and the password of the copy: keep it as you keep them. The keys
            (PersonalData:MasterKey, Offers:LinkKey) are not in it, and without the first nobody's data can be read.

            Exit codes: 0 taken, 1 PostgreSQL refused, 2 the folder cannot be used, 3 nothing is up, 130 interrupted.
            """)
        {
            folder,
        };
        command.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(folder)!, cancellation));
        return command;
    }

    static async Task<int> RunAsync(string folder, CancellationToken cancellation)
    {
        var repository = Repository.Find();
        var narrator = Narrator.ToOutput();
        var up = Up.Running(repository);
        if (up is null || LocalDescription.Read(repository) is not { } description)
            throw new MissingRequirementException("Nothing is up whose databases could be copied: ./huzhu up --detach starts the services.");
        var connectionString = description.Databases.Values.First();
        if (File.Exists(Path.Combine(folder, "backup.json")) && PostgresBackup.Read(folder).Run == up.Id)
        {
            await PostgresBackup.CloseLogAsync(connectionString, cancellation);
            narrator.Say($"The archive in {folder} goes up to now.");
            return ExitCodes.Ok;
        }
        var backup = await narrator.DuringAsync("Copying the databases", async _ =>
            await PostgresBackup.TakeAsync(await BinAsync(repository, narrator, cancellation), up.Id, connectionString, folder, cancellation));
        narrator.Say(string.Create(CultureInfo.InvariantCulture, $"From {backup.TakenAt:O} on, ./huzhu restore {folder} --to TIME goes back to any moment."));
        return ExitCodes.Ok;
    }

    internal static async Task<string> BinAsync(Repository repository, Narrator narrator, CancellationToken cancellation) =>
        await Provisioning.FindPostgresAsync(repository, narrator, cancellation) is Installation.Native native
            ? native.Folder
            : throw new MissingRequirementException("Backups need a PostgreSQL of this machine; containers keep their data to themselves.");
}

static class Restore
{
    public static Verb Command()
    {
        var folder = new Argument<string>("folder") { Description = "What ./huzhu backup has made." };
        var to = new Option<DateTimeOffset?>("--to") { Description = "The moment to go back to, as 2022-04-01T08:00:00Z; without it, as late as the archive goes.", HelpName = "TIME" };
        var command = new Verb(
            "restore",
            "Brings back the databases as they were at a moment, and checks them.",
            """
            Starts a copy of the backed-up PostgreSQL at the moment asked for, checks its four event logs with the rules
            of the demo's checker, and leaves it where ./huzhu audit reads it (verify compares it with what was sealed).
            Nothing that runs is touched, and the backup stays as it is. The relays of the copy are set back by an
            hour: what was in the broker's queues is told again, and whoever has heard it knows.
            docs/operations/backup.md goes on from here.

            Exit codes: 0 restored, 1 the logs of the copy break a promise (it is named; it is kept all the same),
            2 there is no backup or the moment is not in it, 4 the copy did not start, 130 interrupted.
            """)
        {
            folder, to,
        };
        command.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(folder)!, parsed.GetValue(to), cancellation));
        return command;
    }

    static async Task<int> RunAsync(string folder, DateTimeOffset? to, CancellationToken cancellation)
    {
        var repository = Repository.Find();
        var narrator = Narrator.ToOutput();
        var backup = PostgresBackup.Read(folder);
        var bin = await Backup.BinAsync(repository, narrator, cancellation);
        await using var run = await RunFolder.CreateAsync(repository, "restore");
        await using var server = await narrator.DuringAsync("Starting the copy", async _ => await backup.RestoreAsync(bin, folder, to, run, cancellation));
        var databases = Repository.ServiceNames.ToDictionary(service => service, service => server.ConnectionString(service));
        await using var logs = new EventLogs(databases);
        var invariants = await Checker.CheckAsync(Repository.ServiceNames.ToAsyncEnumerable().SelectMany(service => logs.ReadAsync(service, cancellation)), []);
        await PostgresBackup.SetRelaysBackAsync(databases.Values, cancellation);
        // What was under way at the moment is no fault of the copy: it goes on where services are started on it.
        var broken = invariants.Where(invariant => !invariant.Holds && !Checker.SpeaksOfTheEnd(invariant)).ToList();
        foreach (var invariant in broken)
            narrator.Say($"{invariant.Name}: {invariant.ViolationCount} violations, {string.Join(" ", invariant.Violations.Take(3))}");
        narrator.Say($"{(await logs.LastSequencesAsync(cancellation)).Sum()} events; {invariants.Count - broken.Count} of {invariants.Count} promises are kept. ./huzhu audit reads the copy.");
        server.KeepsDataAs = backup.Run;
        return broken.Count == 0 ? ExitCodes.Ok : ExitCodes.Failed;
    }
}
