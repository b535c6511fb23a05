using System.Diagnostics;

namespace Huzhu.Local.Infrastructure;

/// <summary>A program of the machine that is run to its end: initdb, apt-get, docker. Servers are <see cref="ChildProcess"/>.</summary>
public static class Tool
{
    public sealed record Outcome(int ExitCode, string Output)
    {
        public bool Succeeded => ExitCode == 0;

        /// <summary>The last lines, which is where programs say why.</summary>
        public string Tail => string.Join('\n', Output.TrimEnd().Split('\n').TakeLast(15));
    }

    /// <param name="onLine">Called with every line as it comes, from any thread.</param>
    /// <exception cref="TimeoutException">The program did not end within <paramref name="limit"/>; it was killed.</exception>
    public static async Task<Outcome> RunAsync(
        string program,
        IEnumerable<string> arguments,
        TimeSpan limit,
        IReadOnlyDictionary<string, string>? environment = null,
        Action<string>? onLine = null,
        CancellationToken cancellation = default)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        foreach (var (key, value) in environment ?? new Dictionary<string, string>()) start.Environment[key] = value;

        using var process = new Process { StartInfo = start };
        var lines = new List<string>();
        void Take(object _, DataReceivedEventArgs e)
        {
            if (e.Data is null) return;
            lock (lines) lines.Add(e.Data);
            onLine?.Invoke(e.Data);
        }

        process.OutputDataReceived += Take;
        process.ErrorDataReceived += Take;
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();

        using var timed = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timed.CancelAfter(limit);
        try
        {
            await process.WaitForExitAsync(timed.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancellation.ThrowIfCancellationRequested();
            throw new TimeoutException($"{program} did not end within {limit.TotalSeconds:0} s.");
        }

        lock (lines) return new Outcome(process.ExitCode, string.Join('\n', lines));
    }

    /// <returns>The full path of a program on PATH, or null.</returns>
    public static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Concat(["/usr/sbin", "/sbin"])
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(IsThere);

    /// <summary>File.Exists alone takes a link for a program whose package is gone.</summary>
    public static bool IsThere(string program) =>
        File.Exists(program) && (new FileInfo(program).ResolveLinkTarget(returnFinalTarget: true)?.Exists ?? true);
}
