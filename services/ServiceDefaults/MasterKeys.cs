using Marten;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// The life of a master key: at its start a service looks whether it has every master key that is needed still, and with
/// <c>--rewrap-keys</c> people's data keys are wrapped with the current one, so that those before it can go.
/// </summary>
public static class MasterKeys
{
    private const int BatchSize = 500;
    private const int LongestName = 200;

    /// <summary>The vault, and the look at its keys when the service starts.</summary>
    public static IServiceCollection AddVault(this IServiceCollection services) =>
        services.AddSingleton<PersonalDataVault>().AddHostedService<Check>();

    /// <summary>
    /// Wraps every data key with the current master key, beside running services, and writes down that it was done. May be
    /// broken off at any moment and run again.
    /// </summary>
    /// <param name="by">Who has it run: nobody signs in to a command, so they say it.</param>
    /// <exception cref="InvalidOperationException">Nobody is named, the service keeps no personal data, or a data key is not wrapped by the current master key afterwards.</exception>
    internal static async Task RewrapAsync(IServiceProvider services, string? by, TextWriter output, CancellationToken cancellation)
    {
        var vault = services.GetService<PersonalDataVault>()
            ?? throw new InvalidOperationException("This service keeps no personal data, and so no keys. Those that do are Requests, Groups and Notifications.");
        if (by is not { Length: > 0 and <= LongestName } || by.Any(char.IsControl))
            throw new InvalidOperationException("Who has the keys wrapped anew is written into the log: give --by and the subject of your account.");
        long rewrapped = 0;
        for (Guid? last = Guid.Empty; last is { } after;)
        {
            (last, var count) = await vault.RewrapAsync(after, BatchSize, cancellation);
            if (rewrapped / 100_000 < (rewrapped += count) / 100_000)
                await output.WriteLineAsync($"{rewrapped} data keys wrapped anew so far");
        }
        var (current, counts) = (vault.MasterKeyIds[0], await vault.CountKeysAsync(cancellation));
        await output.WriteLineAsync($"{rewrapped} data keys wrapped anew. The current master key is {current}. Of all data keys,");
        foreach (var (wrappedBy, count) in counts)
            await output.WriteLineAsync($"  {count} are wrapped by {wrappedBy ?? "a key that they do not name"}");
        if (counts.Where(one => one.WrappedBy != current).Sum(one => one.Count) is > 0 and var left)
            throw new InvalidOperationException($"{left} data keys are not wrapped by {current}. Given are {string.Join(", ", vault.MasterKeyIds)}. "
                + "A master key that is not given is needed in PersonalData:PreviousMasterKeys; for one that is, a process that has it as its current key has made data keys meanwhile: run this again once all have been replaced.");
        await Conflict.RetryAsync(async () =>
        {
            await using var session = services.GetRequiredService<IDocumentStore>().LightweightSession();
            session.Events.Append(People.KeysStream, new DataKeysRewrapped(current, rewrapped, services.GetRequiredService<TimeProvider>().GetUtcNow(), by))
                .CausedBy(Cause.Current());
            await session.SaveChangesAsync(cancellation);
            return true;
        });
    }

    /// <summary>
    /// A process that lacks a master key would fail at the first person whose key it wraps; one with a wrong key would wrap
    /// new people's keys with it. Neither starts.
    /// </summary>
    private sealed class Check(PersonalDataVault vault, ILogger<PersonalDataVault> logger) : IHostedService
    {
        public async Task StartAsync(CancellationToken cancellationToken)
        {
            var known = vault.MasterKeyIds;
            var used = await vault.UsedMasterKeysAsync(cancellationToken);
            var missing = used.Except(known).ToList();
            if (missing.Count > 0)
                throw new InvalidOperationException($"Data keys of people need master keys that are not given: {string.Join(", ", missing)}. "
                    + $"Given are {string.Join(", ", known)}. Add the missing key to PersonalData:PreviousMasterKeys; it can go when --rewrap-keys has left nothing to it.");
            var opensUnsaid = await vault.OpensUnsaidAsync(cancellationToken);
            if (opensUnsaid is false)
                throw new InvalidOperationException("No master key that is given opens the data keys of people. "
                    + "Was PersonalData:MasterKey changed without keeping the one before in PersonalData:PreviousMasterKeys?");
            if (opensUnsaid is true || used.Any(id => id != known[0]))
                logger.LogInformation("Not all data keys of people are wrapped by the current master key {Current} yet: run --rewrap-keys once", known[0]);
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
