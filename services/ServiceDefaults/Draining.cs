using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Lets callers go before the server stops. Where somebody has called lately, calls are answered as ever for the second in
/// which callers hear of it and for as long as they come, three seconds at the longest, but each answer ends its connection:
/// so the next call goes to another replica, and none is on its way into a connection that is just being closed. Meanwhile
/// the service says that it is not ready.
/// </summary>
internal sealed class Draining : IHostedLifecycleService, IHealthCheck
{
    private const int LatelyMilliseconds = 2000, HeardOfMilliseconds = 1000, QuietMilliseconds = 500, LongestMilliseconds = 3000;
    private long _lastCall = -LatelyMilliseconds;
    private volatile bool _hasBegun;

    public bool HasBegun => _hasBegun;

    /// <summary>Somebody calls; who only asks how the service is does not count.</summary>
    public void Called() => Volatile.Write(ref _lastCall, Environment.TickCount64);

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        _hasBegun = true;
        var began = Environment.TickCount64;
        if (began - Volatile.Read(ref _lastCall) > LatelyMilliseconds)
            return;
        while (Environment.TickCount64 - Math.Max(began + HeardOfMilliseconds, Volatile.Read(ref _lastCall)) < QuietMilliseconds
            && Environment.TickCount64 - began < LongestMilliseconds && !cancellationToken.IsCancellationRequested)
            await Task.Delay(20, CancellationToken.None);
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(_hasBegun ? HealthCheckResult.Unhealthy("The service is stopping.") : HealthCheckResult.Healthy());

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
