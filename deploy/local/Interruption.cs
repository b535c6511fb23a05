using System.Runtime.InteropServices;

namespace Huzhu.Local;

/// <summary>
/// Ctrl-C, a kill and a closed terminal all ask for the same orderly end. A second one ends this program at once; the
/// watchdog of the run then ends what it had started.
/// </summary>
sealed class Interruption : IDisposable
{
    readonly CancellationTokenSource _source = new();
    readonly PosixSignalRegistration[] _registrations;

    public Interruption() =>
        _registrations = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT }
            .Select(signal => PosixSignalRegistration.Create(signal, Take))];

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _source.Dispose();
    }

    void Take(PosixSignalContext context)
    {
        context.Cancel = true;
        if (_source.IsCancellationRequested) Environment.Exit(ExitCodes.Interrupted);
        Console.Error.WriteLine("Stopping; once more stops at once.");
        _source.Cancel();
    }
}
