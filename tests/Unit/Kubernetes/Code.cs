using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Reflection;
using System.Runtime.CompilerServices;
using Huzhu.Groups.Features;
using Huzhu.ServiceDefaults;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Huzhu.Tests.Unit.Kubernetes;

/// <summary>What the services' code itself says: the names of its queues and metrics, and what it accepts as settings.</summary>
static class Code
{
    /// <summary>The queues that a service reads.</summary>
    public static IReadOnlyList<string> QueuesOf(string service)
    {
        var names = Messaging.EndpointNames(service);
        var consumer = typeof(IEndpointNameFormatter).GetMethod(nameof(IEndpointNameFormatter.Consumer))!;
        return
        [
            .. AssemblyOf(service).GetTypes().Where(type => !type.IsAbstract).Select(type => BasesOf(type).FirstOrDefault(IsDefinition)).OfType<Type>()
                .Select(definition => (string)consumer.MakeGenericMethod(definition.GetGenericArguments()).Invoke(names, null)!),
            .. service == "groups" ? [ConsumeProviderEvents.Queue] : Array.Empty<string>(),
        ];

        static bool IsDefinition(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ConsumerDefinition<>);
    }

    /// <summary>Every series that the services' own instruments become at /metrics, by the rules of the Prometheus exporter.</summary>
    public static IReadOnlySet<string> Series()
    {
        var series = new HashSet<string>();
        foreach (var instrument in Instruments())
        {
            var (name, kind) = (NameOf(instrument), instrument.GetType().Name);
            if (kind.StartsWith("Histogram", StringComparison.Ordinal))
                series.UnionWith([name + "_bucket", name + "_sum", name + "_count"]);
            else
                series.Add(kind.StartsWith("Counter", StringComparison.Ordinal) ? name + "_total" : name);
        }
        return series;
    }

    /// <summary>The limits of the buckets of each histogram that counts seconds.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<double>> Limits() => Instruments().OfType<Histogram<double>>().Where(histogram => histogram.Unit == "s")
        .ToDictionary(NameOf, histogram => histogram.Advice?.HistogramBucketBoundaries ?? Telemetry.LimitsInSeconds);

    private static string NameOf(Instrument instrument) => instrument.Name.Replace('.', '_') + (instrument.Unit == "s" ? "_seconds" : "");

    private static List<Instrument> Instruments()
    {
        var instruments = new List<Instrument>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter.Name.StartsWith("Huzhu.", StringComparison.Ordinal))
                instruments.Add(instrument);
        };
        listener.Start();
        foreach (var type in Manifests.Services.Select(AssemblyOf).Append(typeof(Hosting).Assembly).SelectMany(assembly => assembly.GetTypes())
            .SelectMany(type => BasesOf(type).Prepend(type)).Where(type => !type.ContainsGenericParameters && HasInstruments(type)).Distinct())
            RuntimeHelpers.RunClassConstructor(type.TypeHandle);
        return instruments;

        static bool HasInstruments(Type type) => type.GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
            .Any(field => field.FieldType.IsAssignableTo(typeof(Instrument)));
    }

    /// <summary>
    /// Builds a service with these settings, as its own Program does, and looks at it; it is not started. Settings that the
    /// service refuses are thrown.
    /// </summary>
    public static async Task<T> BuiltAsync<T>(string service, IEnumerable<KeyValuePair<string, string>> settings, Func<IServiceProvider, T> look)
    {
        var here = new HostBuilt(Environment.CurrentManagedThreadId);
        using var all = DiagnosticListener.AllListeners.Subscribe(here);
        string[] arguments = [.. settings.Select(setting => $"--{setting.Key.Replace("__", ":", StringComparison.Ordinal)}={setting.Value}"), "--Logging:LogLevel:Default=None"];
        try
        {
            AssemblyOf(service).EntryPoint!.Invoke(null, [arguments]);
        }
        catch (TargetInvocationException exception) when (exception.InnerException is HostBuilt.Enough enough)
        {
            await using var host = (IAsyncDisposable)enough.Host;
            return look(enough.Host.Services);
        }
        catch (TargetInvocationException exception)
        {
            throw exception.InnerException!;
        }
        throw new InvalidOperationException($"{service} ended before its host was built.");
    }

    private static Assembly AssemblyOf(string service) => Assembly.Load($"Huzhu.{Local.Infrastructure.Repository.ProjectName(service)}");

    private static IEnumerable<Type> BasesOf(Type type)
    {
        for (var at = type.BaseType; at is not null; at = at.BaseType)
            yield return at;
    }

    /// <summary>The hosting library announces a host when it has been built; from there we do not go on.</summary>
    private sealed class HostBuilt(int thread) : IObserver<DiagnosticListener>, IObserver<KeyValuePair<string, object?>>
    {
        public sealed class Enough(IHost host) : Exception
        {
            public IHost Host => host;
        }

        public void OnNext(DiagnosticListener value)
        {
            if (value.Name == "Microsoft.Extensions.Hosting")
                value.Subscribe(this);
        }

        public void OnNext(KeyValuePair<string, object?> value)
        {
            if (value.Key == "HostBuilt" && Environment.CurrentManagedThreadId == thread)
                throw new Enough((IHost)value.Value!);
        }

        public void OnCompleted()
        {
        }

        public void OnError(Exception error)
        {
        }
    }
}
