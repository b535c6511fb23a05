using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Verbs;
using RabbitMQ.Client;
using Spectre.Console;

namespace Huzhu.Local.Scenarios;

/// <summary>
/// Plays a scenario on the real services: starts everything, lets people call and coordinators answer, closes the
/// providers, reopens them, waits until all is settled, judges the logs and writes the report.
/// </summary>
public sealed class ScenarioRunner
{
    const int ParallelRegistrations = 16;
    static readonly TimeSpan LongestDrain = TimeSpan.FromMinutes(3);

    /// <summary>A run at the pace that the machine just keeps has nothing left to catch up with after an outage.</summary>
    const double ChaosSlowdown = 2;

    static readonly TimeSpan Quiet = TimeSpan.FromSeconds(2);
    static readonly TimeSpan KnownWithin = TimeSpan.FromSeconds(60);

    readonly Scenario _scenario;
    readonly DemoOptions _options;
    readonly Narrator _narrator;
    readonly Agenda _agenda;
    readonly ServiceCalls _calls;
    readonly AcceptedCalls _accepted;
    readonly NeedBook _book = new();
    readonly List<Kill> _kills = [];
    readonly Guid _measureId = Guid.CreateVersion7();
    LocalDeployment _deployment = null!;
    Coordinators _coordinators = null!;
    Callers _callers = null!;
    string _operator = null!;
    IReadOnlyDictionary<string, UrgencyTimes> _times = null!;

    ScenarioRunner(Scenario scenario, DemoOptions options, Narrator narrator, Agenda agenda, ServiceCalls calls, AcceptedCalls accepted)
    {
        (_scenario, _options, _narrator) = (scenario, options, narrator);
        (_agenda, _calls, _accepted) = (agenda, calls, accepted);
    }

    /// <returns>An exit code of <see cref="ExitCodes"/>.</returns>
    public static async Task<int> RunAsync(DemoOptions options, CancellationToken cancellation)
    {
        var scenario = Build(options);
        if (options.Chaos)
            scenario = scenario with { Calendar = scenario.Calendar.SlowedBy(ChaosSlowdown) };
        var narrator = Narrator.ToOutput();
        narrator.Say($"{scenario.Title}: {scenario.NeedCount:N0} needs in {scenario.Requests.Count:N0} calls, {scenario.Providers.Count()} providers, "
            + $"{scenario.Responders.Count - scenario.Providers.Count()} groups, seed {scenario.Seed}.");
        foreach (var note in scenario.Notes.Take(12))
            narrator.Say($"  {note}");
        if (scenario.Notes.Count > 12)
            narrator.Say($"  and {scenario.Notes.Count - 12} more such rows; the report names all.");
        CheckFolder(options.Out);

        var acceptedFile = Path.Combine(options.Out.FullName, "accepted.jsonl");
        var agenda = new Agenda();
        using var calls = new ServiceCalls();
        using var accepted = new AcceptedCalls(acceptedFile);
        var runner = new ScenarioRunner(scenario, options, narrator, agenda, calls, accepted);
        var report = await runner.RunAsync(acceptedFile, cancellation);

        var page = ReportWriter.Write(report, options.Out);
        Tell(report, page);
        if (options.Open)
            Open(page.FullName, narrator);
        return report.Invariants.All(invariant => invariant.Holds) ? ExitCodes.Ok : ExitCodes.Failed;
    }

    static Scenario Build(DemoOptions options)
    {
        if (options.Scenario == "w-district")
            return WDistrict.Build(options.Size ?? WDistrict.DefaultSize, options.Seed);
        if (options.Size is not null)
            throw new UsageException($"--size belongs to w-district; {options.Scenario} has as many needs as its file.");
        return options is { Needs: { } needs, Services: { } services }
            ? Haiti2010.Build(needs.FullName, services.FullName, options.Seed)
            : throw new UsageException($"The scenario {options.Scenario} needs --needs FILE and --services FILE.");
    }

    static void CheckFolder(DirectoryInfo folder)
    {
        try
        {
            folder.Create();
            var probe = Path.Combine(folder.FullName, $".huzhu-{Environment.ProcessId}");
            File.WriteAllText(probe, "");
            File.Delete(probe);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--out {folder.FullName} cannot be written to: {exception.Message}");
        }
    }

    async Task<Report> RunAsync(string acceptedFile, CancellationToken cancellation)
    {
        await Builds.Services.EnsureAsync(Repository.Find(), _narrator, cancellation);
        var whole = Stopwatch.StartNew();
        await using var coordinators = _coordinators = await Coordinators.StartAsync(_scenario, _agenda, _calls, _accepted, _book, cancellation);
        await using var deployment = _deployment = await LocalDeployment.StartAsync(new LocalDeploymentOptions
        {
            Kind = "demo",
            Replicas = _options.Replicas,
            Narrator = _narrator,
            // Rarely: it shares the machine with what is measured.
            SealedEvery = 20_000,
            Console = _options.Open,
            Environment = new Dictionary<string, string>
            {
                ["Limits__RequestsPerSecond"] = "100000",
                ["Channels__Webhook__DefaultSecret"] = coordinators.CallersSecret,
            },
        }, cancellation);
        foreach (var service in Repository.ServiceNames)
            _calls.SpreadOver([.. Enumerable.Range(1, _options.Replicas).Select(replica => deployment.Services[service, replica].BaseAddress)]);
        if (_options.Open)
        {
            var console = deployment.Description.Services[Repository.Console];
            _narrator.Say($"The console, while it runs: {console}");
            Open(console, _narrator);
        }
        try
        {
            _operator = deployment.Services.Token("demo-operator", ["operator"]);
            _callers = new Callers(_scenario, _agenda, _calls, _accepted, _book, deployment.Services.BaseAddress("requests"),
                deployment.Services.Token("demo-hotline", ["intake"]), coordinators.CallersAddress);
            await _narrator.DuringAsync($"Registering {_scenario.Responders.Count} responders", async progress =>
            {
                _times = await ScalePolicyAsync(cancellation);
                await RegisterAsync(progress, cancellation);
            });
            await PlayAsync(deployment.Services.Options.Databases, cancellation);
            _accepted.Dispose();
            var report = await _narrator.DuringAsync("Checking the four event logs, and replaying them without groups", async _ =>
                await JudgeAsync(acceptedFile, whole, cancellation));
            deployment.Infrastructure.Run.KeepLogs = report.Invariants.Any(invariant => !invariant.Holds);
            deployment.Infrastructure.Postgres.KeepsData = true;
            return report;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            deployment.Infrastructure.Run.KeepLogs = true;
            _narrator.Say($"The services' logs are kept in {deployment.Infrastructure.Run.KeptLogsFolder}.");
            throw;
        }
    }

    // ---- Before ----

    /// <summary>The policy's timers in the scenario's time. Policy is data: nothing in the services knows that this is a rehearsal.</summary>
    async Task<IReadOnlyDictionary<string, UrgencyTimes>> ScalePolicyAsync(CancellationToken cancellation)
    {
        (string Urgency, double Life, double Escalate, double AskAgain)[] scaled =
        [
            ("lifeThreatening", 12, 24, 20), ("health", 16, 40, 24), ("hardship", 20, 60, 28), ("routine", 24, 80, 32),
        ];
        var times = new Dictionary<string, UrgencyTimes>();
        await _calls.ChangePolicyAsync(_deployment.Services.BaseAddress("matching"), _operator, policy =>
        {
            foreach (var (urgency, life, escalate, askAgain) in scaled)
            {
                var rules = policy[urgency]!.AsObject();
                times[urgency] = new UrgencyTimes(rules["offerLifeSeconds"]!.GetValue<double>(), life, rules["escalateAfterSeconds"]!.GetValue<double>(), escalate);
                (rules["offerLifeSeconds"], rules["escalateAfterSeconds"], rules["askAgainAfterSeconds"]) = (life, escalate, askAgain);
            }
            // So many are told in less than the shortest of these lives.
            policy["maxUntoldOffers"] = 500;
        }, cancellation);
        return times;
    }

    async Task RegisterAsync(IProgress<double> progress, CancellationToken cancellation)
    {
        var (groups, matching) = (_deployment.Services.BaseAddress("groups"), _deployment.Services.BaseAddress("matching"));
        var done = 0;
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = ParallelRegistrations, CancellationToken = cancellation };
        await Parallel.ForEachAsync(_scenario.Responders, parallel, async (responder, token) =>
        {
            var (address, secret) = _coordinators.ChannelOf(responder);
            await _calls.MustAsync(HttpMethod.Post, new Uri(groups, responder.IsProvider ? "v1/providers" : "v1/groups"), _operator, new
            {
                id = responder.Id,
                name = responder.Name,
                sites = responder.Sites.Select(site => new { lat = site.Place.Latitude, lon = site.Place.Longitude, subDistrict = site.SubDistrict }),
                radiusMetres = responder.RadiusMetres,
                subDistricts = responder.SubDistricts,
                serviceKinds = responder.ServiceKinds,
                modes = responder.Modes.Select(Words.Of),
                communicationAbilities = responder.Abilities.Select(Words.Of),
                capacity = responder.Capacity,
                zonePermit = responder.ZonePermit,
                leaderHasDisability = responder.LeaderHasDisability,
                managedBy = new[] { $"coordinator-of-{responder.Id}" },
                channels = new[] { new { kind = "webhook", address, secret } },
            }, token);
            _accepted.Add(new AcceptedCall(responder.IsProvider ? Call.RegisterProvider : Call.RegisterGroup, responder.Id, [], responder.Name, DateTimeOffset.UtcNow));
            progress.Report(Interlocked.Increment(ref done) / (2.0 * _scenario.Responders.Count));
        });

        // Matching hears of them over the broker; the story begins when it knows everybody.
        var until = DateTime.UtcNow + KnownWithin;
        await Parallel.ForEachAsync(_scenario.Responders, parallel, async (responder, token) =>
        {
            while (await _calls.SendAsync(HttpMethod.Get, new Uri(matching, $"v1/responders/{responder.Id}"), _operator, null, token) is { IsSuccess: false } answer)
            {
                if (DateTime.UtcNow > until)
                    throw new ServiceCallException($"Matching has not heard of {responder.Name} ({responder.Id}) after {KnownWithin.TotalSeconds:0} s: {(int)answer.Status}.");
                await Task.Delay(50, token);
            }
            progress.Report(Interlocked.Increment(ref done) / (2.0 * _scenario.Responders.Count));
        });
    }

    // ---- The story ----

    async Task PlayAsync(IReadOnlyDictionary<string, string> databases, CancellationToken cancellation)
    {
        var calendar = _scenario.Calendar;
        _callers.PutOnAgenda();
        _agenda.At(calendar.SecondsAt(calendar.ClosureDay), token => SetClosedAsync(true, token));
        _agenda.At(calendar.SecondsAt(calendar.ReopeningDay), token => SetClosedAsync(false, token));
        if (_options.Chaos)
            PutChaosOnAgenda();

        await using var logs = new EventLogs(databases);
        using var run = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var acting = _agenda.RunAsync(run.Token);
        var view = new RunView(_scenario, _agenda, _callers, _coordinators);
        var watching = view.ShowAsync(run.Token);
        var settled = UntilSettledAsync(logs, run.Token);
        try
        {
            var first = await Task.WhenAny(acting, settled);
            await first;
        }
        finally
        {
            await run.CancelAsync();
            await Task.WhenAll(Quietly(acting), Quietly(watching), Quietly(settled));
        }
        cancellation.ThrowIfCancellationRequested();

        static async Task Quietly(Task task)
        {
            try
            {
                await task;
            }
            catch (Exception exception) when (exception is OperationCanceledException or ToldException)
            {
                // Ended with the run; a failure of an act has been thrown already.
            }
        }
    }

    async Task SetClosedAsync(bool closed, CancellationToken cancellation)
    {
        var groups = _deployment.Services.BaseAddress("groups");
        if (_scenario.MeasureArea is { } area)
        {
            await _calls.MustAsync(HttpMethod.Post, new Uri(groups, closed ? "v1/measures" : $"v1/measures/{_measureId}/lift"), _operator, closed
                ? new
                {
                    id = _measureId,
                    name = "Lockdown of the district",
                    area = area.Select(point => new { lat = point.Latitude, lon = point.Longitude }),
                    sealsZone = true,
                    closesProviders = true,
                }
                : new { reason = "The lockdown is lifted." }, cancellation);
            _accepted.Add(new AcceptedCall(closed ? Call.ImposeMeasure : Call.LiftMeasure, _measureId, [], "", DateTimeOffset.UtcNow));
            return;
        }

        // Each provider speaks for itself: every other one through its own system, on the broker.
        var providers = _scenario.Providers.ToList();
        await using var systems = await ProvidersSystems.ConnectAsync(_deployment.Infrastructure.RabbitMq.AmqpUri(), cancellation);
        await Parallel.ForEachAsync(providers.Index(), new ParallelOptions { MaxDegreeOfParallelism = ParallelRegistrations, CancellationToken = cancellation }, async (one, token) =>
        {
            var reason = closed ? "Damaged; no staff, no supplies." : "Open again.";
            if (one.Index % 2 == 0)
            {
                await systems.PublishAsync(one.Item.Id, closed, reason, token);
                return;
            }
            await _calls.MustAsync(HttpMethod.Post, new Uri(groups, $"v1/providers/{one.Item.Id}/{(closed ? "closures" : "reopenings")}"), _operator, new { reason }, token);
            _accepted.Add(new AcceptedCall(closed ? Call.PublishClosure : Call.PublishReopening, one.Item.Id, [], "", DateTimeOffset.UtcNow));
        });
    }

    /// <summary>Each service is killed once, where it hurts: while the closed providers' needs are on their way, in the thick of it, and when the closure ends.</summary>
    void PutChaosOnAgenda()
    {
        var calendar = _scenario.Calendar;
        var (closure, reopening) = (calendar.SecondsAt(calendar.ClosureDay), calendar.SecondsAt(calendar.ReopeningDay));
        var lockdown = reopening - closure;
        KillAt("matching", closure + Math.Min(1, lockdown * 0.05));
        KillAt("requests", closure + lockdown * 0.35);
        KillAt("notifications", closure + lockdown * 0.6);
        KillAt("groups", reopening - Math.Min(0.5, lockdown * 0.05));
    }

    void KillAt(string service, double second) => _agenda.At(second, async cancellation =>
    {
        var process = _deployment.Services[service];
        var (pid, killedAt) = (process.Pid, _agenda.Now);
        await process.KillAsync();
        await process.RestartAsync(cancellation);
        lock (_kills)
            _kills.Add(new Kill(service, pid, process.Pid, killedAt, _agenda.Now));
    });

    /// <summary>
    /// Until nobody has anything left to do and no log grows any more. Bounded: what is not settled by then is left for
    /// the checker to find.
    /// </summary>
    async Task UntilSettledAsync(EventLogs logs, CancellationToken cancellation)
    {
        var calendar = _scenario.Calendar;
        var phasesEnd = calendar.SecondsAt(calendar.PhasesEndDay);
        var latest = calendar.SecondsAt(calendar.EndDay) + LongestDrain.TotalSeconds;
        IReadOnlyList<long> last = [];
        var since = _agenda.Now;
        while (_agenda.Now < latest)
        {
            await Task.Delay(250, cancellation);
            if (_agenda.Now < phasesEnd || _agenda.Pending > 0)
                continue;
            var now = await logs.LastSequencesAsync(cancellation);
            if (!now.SequenceEqual(last))
                (last, since) = (now, _agenda.Now);
            else if (_agenda.Now - since > Quiet.TotalSeconds)
                return;
        }
    }

    // ---- After ----

    async Task<Report> JudgeAsync(string acceptedFile, Stopwatch whole, CancellationToken cancellation)
    {
        // Nothing may be written while the logs are read one after the other.
        await _deployment.Services.DisposeAsync();
        var measurements = new Measurements(_scenario, _agenda.StartedAt);
        var checker = new Checker();
        await using var logs = new EventLogs(_deployment.Services.Options.Databases);
        foreach (var service in Repository.ServiceNames)
            await foreach (var row in logs.ReadAsync(service, cancellation))
            {
                checker.Read(row);
                measurements.Read(row);
            }
        var invariants = checker.Finish(AcceptedCalls.Read(acceptedFile));
        var replay = await Replay.AskAsync(_scenario.Calendar, _deployment.Services.Options.Databases, _options.Out, cancellation);
        return Report.Of(_scenario, measurements, replay, invariants, new RunFacts(
            _agenda.StartedAt, whole.Elapsed.TotalSeconds, _times, _kills, _calls.Repeats, _agenda.MostBelatedSeconds, _coordinators.Messages, _coordinators.Answers,
            measurements.EventsByService, measurements.NotificationOutcomes));
    }

    static void Tell(Report report, FileInfo page)
    {
        var console = AnsiConsole.Console;
        var table = new Table().Border(TableBorder.Simple).AddColumn("Phase").AddColumn(new TableColumn("Needs").RightAligned())
            .AddColumn(new TableColumn("Met").RightAligned()).AddColumn(new TableColumn("Without groups").RightAligned())
            .AddColumn(new TableColumn("Time to offer, median").RightAligned());
        foreach (var phase in report.Phases)
            table.AddRow(phase.Name, $"{phase.Submitted:N0}", $"{phase.MetShare:P1}", $"{phase.MetShareWithoutGroups:P1}", $"{phase.TimeToOfferMs.P50:0} ms");
        console.Write(table);
        Console.WriteLine($"When they closed, providers held {report.Fallback.HeldAtClosure:N0} needs: {report.Fallback.Rematched:N0} went to somebody else, "
            + $"{report.Fallback.Escalated:N0} to the backlog{(report.Fallback.SecondsToRematchAll is { } seconds ? $", all within {seconds:0.0} s" : "")}.");
        Console.WriteLine($"Of {report.Needs.Submitted:N0} needs {report.Needs.Fulfilled:N0} were fulfilled, {report.Needs.Waiting + report.Needs.Escalated:N0} wait, {report.Needs.Cancelled:N0} were cancelled, {report.Needs.Other:N0} repeat an earlier call or are on hold for safety.");
        foreach (var broken in report.Invariants.Where(invariant => !invariant.Holds))
        {
            Console.WriteLine($"BROKEN: {broken.Meaning} ({broken.ViolationCount} of {broken.Checked})");
            foreach (var violation in broken.Violations.Take(5))
                Console.WriteLine($"  {violation}");
        }
        if (report.Invariants.All(invariant => invariant.Holds))
            Console.WriteLine($"All {report.Invariants.Count} invariants hold, over {report.Run.Events.Values.Sum():N0} events.");
        Console.WriteLine($"Report: {page.FullName}");
        Console.WriteLine("The logs are kept until the next demo: ./huzhu audit --help says what they can be asked.");
    }

    static void Open(string page, Narrator narrator)
    {
        try
        {
            using var opener = Process.Start(new ProcessStartInfo("xdg-open", [page]) { RedirectStandardError = true, RedirectStandardOutput = true });
        }
        catch (System.ComponentModel.Win32Exception)
        {
            narrator.Say($"--open needs xdg-open, which is not on this machine; open it by hand: {page}");
        }
    }

    /// <summary>The systems of providers that say for themselves that they are shut, as docs/integrators/providers.md describes.</summary>
    sealed class ProvidersSystems(IConnection connection, IChannel channel) : IAsyncDisposable
    {
        const string Exchange = "huzhu.providers";

        public static async Task<ProvidersSystems> ConnectAsync(string amqp, CancellationToken cancellation)
        {
            var connection = await new ConnectionFactory { Uri = new Uri(amqp), ClientProvidedName = "demo-providers" }.CreateConnectionAsync(cancellation);
            var channel = await connection.CreateChannelAsync(
                new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true), cancellation);
            return new ProvidersSystems(connection, channel);
        }

        public async Task PublishAsync(Guid provider, bool closed, string reason, CancellationToken cancellation)
        {
            var type = closed ? "org.huzhu.provider.closed.v1" : "org.huzhu.provider.reopened.v1";
            var body = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new
            {
                specversion = "1.0",
                id = Guid.CreateVersion7().ToString(),
                source = $"/providers/{provider}",
                type,
                subject = provider.ToString(),
                time = DateTimeOffset.UtcNow.ToString("O"),
                datacontenttype = "application/json",
                data = new { reason },
            }));
            await channel.BasicPublishAsync(Exchange, type, mandatory: true,
                new BasicProperties { ContentType = "application/cloudevents+json", DeliveryMode = DeliveryModes.Persistent }, body, cancellation);
        }

        public async ValueTask DisposeAsync()
        {
            await channel.DisposeAsync();
            await connection.DisposeAsync();
        }
    }
}
