using System.CommandLine;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Local.Verbs;

static class Audit
{
    public static Verb Command()
    {
        var command = new Verb(
            "audit",
            "Reads the event logs: what happened and why, and whether anything was changed since.",
            """
            Reads the logs of what ./huzhu up runs, or else of the last ./huzhu demo, whose data it keeps in .local/last
            until the next one; the audit starts PostgreSQL on it and stops it again. It writes nothing to a database:
            erase asks the running services to.

              ./huzhu audit timeline REQUEST|NEED|RESPONDER|PERSON [--as-of TIME] [--json] [--html FILE]
              ./huzhu audit explain NEED [--as-of TIME] [--json]   why each offer went where it went
              ./huzhu audit state [--at TIME] [--json]             capacity, backlog and needs of any instant
              ./huzhu audit recheck [--from TIME] [--to TIME]      decides every offer again
              ./huzhu audit rebuild                                makes every read model anew and compares
              ./huzhu audit replay --without-groups [--json] [--out DIR]   also: --without-closures, --policy FILE
              ./huzhu audit equity [--json]                        by communication need, sub-district, channel
              ./huzhu audit export --format cloudevents|csv|parquet|log --out DIR
              ./huzhu audit seal [--every SECONDS --events N]      signs what the logs are now
              ./huzhu audit verify [--since-last] [--copy FILE]    whether anything sealed was changed, and what
              ./huzhu audit prove EVENT > FILE                     or: prove --since CHECKPOINT
              ./huzhu audit check-proof FILE                       needs no database
              ./huzhu audit erase PERSON|REQUEST|RESPONDER [--basis CODE] [--force]; after a restore: --repeat REPORT
              ./huzhu audit erasure-report [PERSON] [--json]       who was erased, and what of them is left
              ./huzhu audit access PERSON|REQUEST|RESPONDER        who has read their data, and why

            ./huzhu up seals every minute and every thousand events, ./huzhu demo every 20,000. Checkpoints, sealed
            lines and the signing key lie in .local/audit; those of runs that are gone go too, but for the last. docs/auditors says what they promise.

            Exit codes: 0 all is well, 1 something is not as it should be (it is named) or the build failed, 2 bad
            usage, 3 there is nothing to read, 4 the database did not start, 130 interrupted.
            """);
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((parsed, cancellation) => RunAsync([.. parsed.UnmatchedTokens], cancellation));
        return command;
    }

    static async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        var repository = Repository.Find();
        // Standard output is the audit's: it writes proofs and JSON to it.
        var narrator = Narrator.ToError();
        await Builds.Services.EnsureAsync(repository, narrator, cancellation);
        await using var run = await RunFolder.CreateAsync(repository, "audit");

        // What needs no database gets none.
        if (arguments is [] or ["check-proof" or "key" or "--help" or "-h", ..] || arguments.Contains("--help"))
            return await StartAsync(repository, run, "", new Dictionary<string, string>(), arguments, cancellation);

        var up = Up.Running(repository);
        if (up is not null && LocalDescription.Read(repository) is { } description)
            return await StartAsync(repository, run, up.Id, description.Databases, arguments, cancellation, description);
        if (arguments is ["erase", ..])
            throw new MissingRequirementException("No service runs that could erase anybody: ./huzhu up --detach starts them.");
        if (KeptDatabase.Find(repository) is not { } kept)
            throw new MissingRequirementException("There is no log to read: ./huzhu up --detach starts the services, ./huzhu demo leaves its data.");
        await using var server = await narrator.DuringAsync("Starting PostgreSQL on the data of the last demo", async _ =>
            await kept.StartAsync(await Provisioning.FindPostgresAsync(repository, narrator, cancellation), run, cancellation));
        var databases = Repository.ServiceNames.ToDictionary(service => service, service => server.ConnectionString(service));
        return await StartAsync(repository, run, kept.Run, databases, arguments, cancellation);
    }

    static async Task<int> StartAsync(
        Repository repository, RunFolder run, string audited, IReadOnlyDictionary<string, string> databases, IReadOnlyList<string> arguments, CancellationToken cancellation,
        LocalDescription? running = null)
    {
        var environment = await AuditProgram.SettingsAsync(repository, audited, databases, cancellation);
        if (running is not null)
        {
            foreach (var (service, address) in running.Services) environment[$"Services__{service}"] = address;
            environment["Audit__Token"] = running.Tokens["operator"];
        }
        return await Foreground.RunAsync(repository, run, "audit", repository.ServiceAssembly("audit"), arguments, cancellation, environment);
    }
}
