using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Huzhu.Benchmarks;

/// <summary>What every benchmark says of where it ran, and reads of how it was asked.</summary>
static class Machine
{
    public static string Description =>
        $"{Processor()}, {Environment.ProcessorCount} cores, {RuntimeInformation.OSDescription}, .NET {Environment.Version}, {DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}";

    /// <exception cref="BadUsageException">What stands after the option is not a number above 0.</exception>
    public static int Number(string[] arguments, string option, int otherwise)
    {
        var at = Array.IndexOf(arguments, option);
        if (at < 0)
            return otherwise;
        return at + 1 < arguments.Length && int.TryParse(arguments[at + 1], CultureInfo.InvariantCulture, out var value) && value > 0
            ? value
            : throw new BadUsageException($"{option} takes a number above 0.");
    }

    /// <returns>What --only names, behind a space or an equals sign; null without it.</returns>
    /// <exception cref="BadUsageException">None of these.</exception>
    public static string? Only(string[] arguments, params string[] parts)
    {
        const string Option = "--only";
        var at = Array.FindIndex(arguments, argument => argument == Option || argument.StartsWith($"{Option}=", StringComparison.Ordinal));
        if (at < 0)
            return null;
        var only = arguments[at] == Option ? arguments.ElementAtOrDefault(at + 1) : arguments[at][(Option.Length + 1)..];
        return parts.Contains(only) ? only : throw new BadUsageException($"{Option} takes one of {string.Join(", ", parts)}.");
    }

    /// <summary>Ends a benchmark whose figures have been told one by one: says of the machine, or all of it as JSON.</summary>
    /// <returns>The exit code.</returns>
    public static int Close<T>(bool json, IReadOnlyList<T> figures)
    {
        Console.WriteLine(json ? JsonSerializer.Serialize(new { machine = Description, figures }, JsonSerializerOptions.Web) : Description);
        return 0;
    }

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return sorted.Count % 2 == 1 ? sorted[sorted.Count / 2] : (sorted[sorted.Count / 2 - 1] + sorted[sorted.Count / 2]) / 2;
    }

    /// <param name="share">0.99 for the 99th percentile; the nearest rank.</param>
    public static double Percentile(IReadOnlyCollection<double> values, double share) =>
        values.Order().ElementAt(Math.Max(0, (int)Math.Ceiling(values.Count * share) - 1));

    static string Processor() => File.Exists("/proc/cpuinfo") && File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal)) is { } line
        ? line[(line.IndexOf(':') + 1)..].Trim()
        : RuntimeInformation.ProcessArchitecture.ToString();
}

/// <summary>What was asked on the command line makes no sense; the message is told to whoever asked.</summary>
sealed class BadUsageException(string message) : Exception(message);
