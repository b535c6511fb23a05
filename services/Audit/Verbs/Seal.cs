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
            var open = new List<(ServiceLog Log, Sealer Sealer, IReadOnlyList<Copies> Copies)>();
            var receivers = settings.Receivers();
            try
            {
                foreach (var service in parsed.GetValue(services)!.Distinct())
                {
                    var log = settings.Open(service);
                    var sealFolder = settings.FolderOf(service, parsed.GetValue(folder));
                    open.Add((log, new Sealer(log, sealFolder, settings.Deployment, signers, trusted), [.. receivers.Select(receiver => new Copies(sealFolder, receiver))]));
                }
                if (parsed.GetValue(every) is { } seconds)
                {
                    await Task.WhenAll(open.Select(one => KeepSealingAsync(one.Log, one.Sealer, one.Copies, TimeSpan.FromSeconds(seconds), parsed.GetValue(events), output, cancellation)));
                    return ExitCodes.Ok;
                }
                var exitCode = ExitCodes.Ok;
                foreach (var (log, sealer, copies) in open)
                {
                    if (!await SealAsync(log, sealer, output, cancellation))
                        exitCode = ExitCodes.Unknown;
                    if (!await SendAsync(log, copies, output, cancellation))
                        exitCode = Math.Max(exitCode, ExitCodes.Found);
                }
                return exitCode;
            }
            finally
            {
                foreach (var (log, sealer, _) in open)
                {
                    sealer.Dispose();
                    await log.DisposeAsync();
                }
                foreach (var receiver in receivers)
                    receiver.Dispose();
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

    /// <summary>What a receiver does not take now is sent with the next seal.</summary>
    private static async Task<bool> SendAsync(ServiceLog log, IReadOnlyList<Copies> copies, TextWriter output, CancellationToken cancellation)
    {
        var all = true;
        foreach (var one in copies)
        {
            try
            {
                await one.SendAsync(cancellation);
            }
            catch (IOException exception)
            {
                all = false;
                await output.WriteLineAsync($"{log.Service}: a copy waits: {exception.Message}.");
            }
        }
        return all;
    }

    private static async Task KeepSealingAsync(ServiceLog log, Sealer sealer, IReadOnlyList<Copies> copies, TimeSpan every, long events, TextWriter output, CancellationToken cancellation)
    {
        var due = DateTime.UtcNow;
        while (true)
        {
            try
            {
                if (DateTime.UtcNow >= due || await log.NewestNumberAsync(cancellation) - sealer.Sequence >= events)
                {
                    await SealAsync(log, sealer, output, cancellation);
                    await SendAsync(log, copies, output, cancellation);
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
