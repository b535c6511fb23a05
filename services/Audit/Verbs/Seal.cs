using System.CommandLine;
using Huzhu.Audit.Reading;
using Huzhu.Audit.Sealing;

namespace Huzhu.Audit.Verbs;

/// <summary>Signs what the logs are now, once or for as long as it runs.</summary>
static class Seal
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Glance = TimeSpan.FromSeconds(1);

    public static Command Command(Settings settings)
    {
        var (services, folder, key, trust) = (Settings.ServiceOption(), Settings.FolderOption(), Settings.KeyOption(), Settings.TrustOption());
        var every = new Option<double?>("--every") { Description = "Go on, and seal so often.", HelpName = "SECONDS" };
        var events = new Option<long>("--events") { Description = "With --every: also as soon as so many events are new.", DefaultValueFactory = _ => 1000, HelpName = "N" };
        var command = new Command("seal", "Writes a signed checkpoint of every log, outside the database.") { services, folder, key, trust, every, events };
        command.SetAction(async (parsed, cancellation) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var signers = settings.Signers(parsed.GetValue(key));
            var trusted = settings.Trusted(parsed.GetValue(trust), signers);
            var open = new List<(ServiceLog Log, Sealer Sealer)>();
            try
            {
                foreach (var service in parsed.GetValue(services)!.Distinct())
                {
                    var log = settings.Open(service);
                    open.Add((log, new Sealer(log, settings.FolderOf(service, parsed.GetValue(folder)), settings.Deployment, signers, trusted)));
                }
                if (parsed.GetValue(every) is { } seconds)
                {
                    await Task.WhenAll(open.Select(one => KeepSealingAsync(one.Log, one.Sealer, TimeSpan.FromSeconds(seconds), parsed.GetValue(events), output, cancellation)));
                    return ExitCodes.Ok;
                }
                var exitCode = ExitCodes.Ok;
                foreach (var (log, sealer) in open)
                {
                    if (!await SealAsync(log, sealer, output, cancellation))
                        exitCode = ExitCodes.Unknown;
                }
                return exitCode;
            }
            finally
            {
                foreach (var (log, sealer) in open)
                {
                    sealer.Dispose();
                    await log.DisposeAsync();
                }
            }
        });
        return command;
    }

    private static async Task<bool> SealAsync(ServiceLog log, Sealer sealer, TextWriter output, CancellationToken cancellation)
    {
        var checkpoint = await sealer.SealAsync(Patience, cancellation);
        await output.WriteLineAsync(checkpoint is null
            ? $"{log.Service}: not sealed: a transaction that appends has been open for {Patience.TotalSeconds:0} s."
            : $"{log.Service}: {checkpoint.Size} events up to sequence {checkpoint.Sequence}, root {Convert.ToHexStringLower(checkpoint.Root)}.");
        return checkpoint is not null;
    }

    private static async Task KeepSealingAsync(ServiceLog log, Sealer sealer, TimeSpan every, long events, TextWriter output, CancellationToken cancellation)
    {
        var due = DateTime.UtcNow;
        while (true)
        {
            try
            {
                if (DateTime.UtcNow >= due || await log.NewestNumberAsync(cancellation) - sealer.Sequence >= events)
                {
                    await SealAsync(log, sealer, output, cancellation);
                    due = DateTime.UtcNow + every;
                }
            }
            catch (Npgsql.NpgsqlException exception)
            {
                // The database is away; the seal waits for it.
                await output.WriteLineAsync($"{log.Service}: not sealed: {exception.Message}");
            }
            await Task.Delay(Glance < every ? Glance : every, cancellation);
        }
    }
}
