using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Local.Infrastructure;
using Huzhu.Local.Scenarios;
using Npgsql;

namespace Huzhu.Benchmarks;

/// <summary>
/// A day of the district in a few minutes, and at its busiest hour ten times as many calls. They leave at their planned time,
/// whatever became of those before, and time counts from the plan. A call that is shed comes again when it was told to.
/// </summary>
static class SurgeBenchmark
{
    const int Groups = 318, PlacesEach = 1_000;
    const int BurstFactor = 10;
    static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>Calls of each hour, as shares of an average one. Assumed: the field study has no hours.</summary>
    static readonly double[] DailyCurve = [0.3, 0.2, 0.2, 0.2, 0.2, 0.3, 0.6, 1.0, 1.5, 1.9, 1.9, 1.6, 1.2, 1.1, 1.3, 1.4, 1.4, 1.5, 1.6, 1.4, 1.1, 0.9, 0.7, 0.5];

    static readonly (Urgency Urgency, double Share)[] Urgencies = [(Urgency.LifeThreatening, 0.02), (Urgency.Health, 0.24), (Urgency.Hardship, 0.40), (Urgency.Routine, 0.34)];

    sealed record Planned(TimeSpan At, Urgency Urgency, bool InBurst, string Key);

    /// <param name="AnsweredAfter">From the plan to the first answer.</param>
    /// <param name="Need">Once it has been taken in.</param>
    sealed record Outcome(Planned Call, TimeSpan AnsweredAfter, bool WasShed, Guid Request, Guid Need);

    public static async Task<int> RunAsync(string[] arguments)
    {
        var json = arguments.Contains("--json");
        var (rate, day, burst) = (Machine.Number(arguments, "--rate", 10), Machine.Number(arguments, "--day", 120), Machine.Number(arguments, "--burst", 30));
        await using var deployment = await LocalDeployment.StartAsync(new LocalDeploymentOptions
        {
            Kind = "bench",
            Narrator = Narrator.ToError(),
            // All calls come from one client here, whose own limit is not what is measured.
            Environment = new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "100000" },
        });
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 1_000 }) { Timeout = TimeSpan.FromSeconds(60) };
        var data = deployment.Services.Options.Databases.ToDictionary(one => one.Key, one => NpgsqlDataSource.Create(one.Value));
        try
        {
            return await PlayAsync(deployment.Services, http, data, Plan(rate, day, burst), day, burst, json);
        }
        finally
        {
            foreach (var source in data.Values)
                await source.DisposeAsync();
        }
    }

    /// <summary>The burst begins where the busiest hour does.</summary>
    static List<Planned> Plan(int rate, int day, int burst)
    {
        var random = new Random(2022);
        var calls = new List<Planned>();
        var burstAt = Array.IndexOf(DailyCurve, DailyCurve.Max()) * (double)day / DailyCurve.Length;
        for (var at = 0.0; at < day;)
        {
            var inBurst = at >= burstAt && at < burstAt + burst;
            at += -Math.Log(1 - random.NextDouble()) / (rate * DailyCurve[(int)(at / day * DailyCurve.Length)] * (inBurst ? BurstFactor : 1));
            var draw = random.NextDouble();
            var urgency = Urgencies.First(one => (draw -= one.Share) < 0 || one == Urgencies[^1]).Urgency;
            calls.Add(new Planned(TimeSpan.FromSeconds(at), urgency, inBurst, $"surge-{calls.Count}"));
        }
        return calls;
    }

    static async Task<int> PlayAsync(ServiceHost services, HttpClient http, Dictionary<string, NpgsqlDataSource> data, List<Planned> plan, int day, int burst, bool json)
    {
        var accepted = new ConcurrentQueue<AcceptedCall>();
        var random = new Random(1);
        await Parallel.ForEachAsync(Enumerable.Range(0, Groups), new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (number, token) =>
        {
            var (site, id) = Locked(random, () => (City.InTheCore(random), City.Id(random)));
            using var answer = await PostAsync("groups", "v1/groups", "coordinator", null, new
            {
                id,
                name = $"group {number}",
                sites = new[] { new { lat = site.Latitude, lon = site.Longitude, subDistrict = "J" } },
                radiusMetres = 20_000,
                serviceKinds = new[] { ServiceKinds.Meals },
                modes = new[] { "online", "offline" },
                capacity = PlacesEach,
                channels = new[] { new { kind = "file", address = $"group-{id}" } },
            }, token);
            answer.EnsureSuccessStatusCode();
            accepted.Enqueue(new AcceptedCall(Call.RegisterGroup, id, [], $"group {number}", DateTimeOffset.UtcNow));
        });
        await UntilAsync(async () => await CountAsync("matching", "select count(*) from huzhu.responders") == Groups, "Matching to know the groups");

        var (began, watch) = (DateTimeOffset.UtcNow, Stopwatch.StartNew());
        var burstEnds = plan.Last(call => call.InBurst).At;
        var draining = Task.Run(DrainAsync);
        var sends = new List<Task<Outcome>>();
        foreach (var call in plan)
        {
            if (call.At - watch.Elapsed is { Ticks: > 0 } early)
                await Task.Delay(early);
            sends.Add(Task.Run(() => SendAsync(call)));
        }
        var outcomes = await Task.WhenAll(sends);
        var allIn = watch.Elapsed;
        await UntilAsync(async () => await UntoldAsync() == 0, "every offer to be told and nobody to wait for that");
        var drained = await draining;

        var told = new Dictionary<Guid, DateTimeOffset>();
        await using (var command = data["notifications"].CreateCommand("select (data->'offer'->>'needId')::uuid, min(timestamp) from huzhu.mt_events where type = 'notification_delivered' and data->'offer' is not null group by 1"))
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
                told[reader.GetGuid(0)] = reader.GetFieldValue<DateTimeOffset>(1);
        }
        await using var logs = new EventLogs(services.Options.Databases);
        var invariants = (await Checker.CheckAsync(Repository.ServiceNames.ToAsyncEnumerable().SelectMany(service => logs.ReadAsync(service, default)), accepted))
            // Nobody answers an offer here, so nothing comes to its end.
            .Where(invariant => !Checker.SpeaksOfTheEnd(invariant)).ToList();
        var broken = invariants.Where(invariant => !invariant.Holds).Select(invariant => $"{invariant.Name} ({invariant.ViolationCount}): {invariant.Violations[0]}").ToList();
        var untold = outcomes.Count(outcome => !told.ContainsKey(outcome.Need));
        if (untold > 0)
            broken.Add($"{untold} calls were taken in, and nobody was told of them.");
        var changes = await CountAsync("requests", "select count(*) from huzhu.mt_events where type in ('shedding_began', 'shedding_ended')");
        var tooLate = await CountAsync("matching", "select count(*) from huzhu.mt_events where type = 'offer_undeliverable'");

        var atOnce = outcomes.Where(outcome => !outcome.WasShed).ToList();
        var result = new
        {
            machine = Machine.Description,
            calls = plan.Count,
            inBurst = plan.Count(call => call.InBurst),
            burstSeconds = burst,
            admitted = Percentiles(atOnce, outcome => outcome.AnsweredAfter.TotalMilliseconds),
            admittedInBurst = Percentiles(atOnce.Where(outcome => outcome.Call.InBurst), outcome => outcome.AnsweredAfter.TotalMilliseconds),
            urgency = Urgencies.Select(one => outcomes.Where(outcome => outcome.Call.Urgency == one.Urgency).ToList()).Where(some => some.Count > 0).Select(some => new
            {
                urgency = Words.Of(some[0].Call.Urgency),
                calls = some.Count,
                shedShare = some.Count(outcome => outcome.WasShed) / (double)some.Count,
                // From the plan, being shed and coming again included, until the first responder is told.
                toldMs = Percentiles(some.Where(outcome => told.ContainsKey(outcome.Need)), outcome => (told[outcome.Need] - began - outcome.Call.At).TotalMilliseconds),
            }).ToList(),
            drainedSecondsAfterBurst = Math.Round((drained - burstEnds).TotalSeconds, 1),
            allTakenInAfterSeconds = Math.Round(allIn.TotalSeconds, 1),
            modeChanges = changes,
            undeliverableOffers = tooLate,
            invariants = invariants.Select(invariant => new { invariant.Name, invariant.Holds, invariant.Checked }),
            broken,
        };
        if (json)
            Console.WriteLine(JsonSerializer.Serialize(result, JsonSerializerOptions.Web));
        else
        {
            Console.WriteLine($"{result.calls} calls in {day} s, {result.inBurst} of them in a burst of {burst} s.");
            Console.WriteLine($"taken in at once: p50 {result.admitted.P50:0} ms, p99 {result.admitted.P99:0} ms; of the burst p50 {result.admittedInBurst.P50:0} ms, p99 {result.admittedInBurst.P99:0} ms; target p99 ≤ 200 ms: {(result.admittedInBurst.P99 <= 200 ? "reached" : "not reached")}");
            foreach (var one in result.urgency)
                Console.WriteLine($"{one.urgency}: {one.calls} calls, {one.shedShare:P1} shed at first; a responder told after p50 {one.toldMs.P50:0} ms, p99 {one.toldMs.P99:0} ms");
            Console.WriteLine($"drained {result.drainedSecondsAfterBurst.ToString(CultureInfo.InvariantCulture)} s after the burst; target ≤ 60 s: {(result.drainedSecondsAfterBurst <= 60 ? "reached" : "not reached")}");
            Console.WriteLine($"{changes} changes of mode, {tooLate} offers ended untold; {invariants.Count} promises checked, {broken.Count} broken");
            Console.WriteLine(Machine.Description);
        }
        foreach (var sentence in broken)
            Console.Error.WriteLine(sentence);
        return broken.Count == 0 && outcomes.All(outcome => !outcome.WasShed || outcome.Call.Urgency is not Urgency.LifeThreatening) ? 0 : 1;

        async Task<Outcome> SendAsync(Planned call)
        {
            var place = Locked(random, () => City.InTheCore(random));
            var body = new
            {
                source = "bench",
                externalId = call.Key,
                channel = "phone",
                receivedAt = DateTimeOffset.UtcNow,
                caller = new { @ref = call.Key, name = "Lin", phone = "+8613800000000", channels = new[] { new { kind = "file", address = "requester" } } },
                location = new { lat = place.Latitude, lon = place.Longitude, subDistrict = "J" },
                needs = new[] { new { kind = ServiceKinds.Meals, mode = "offline", quantity = 1 } },
                urgency = Words.Of(call.Urgency),
                consent = new { basis = "explicit", at = DateTimeOffset.UtcNow },
                callbackOk = true,
            };
            TimeSpan? answeredAfter = null;
            var wasShed = false;
            while (true)
            {
                using var answer = await TryPostAsync();
                answeredAfter ??= watch.Elapsed - call.At;
                // Nobody knows what became of it: the same call again.
                if (answer is null)
                    continue;
                if (answer.IsSuccessStatusCode)
                {
                    var taken = await answer.Content.ReadFromJsonAsync<JsonElement>();
                    var (request, need) = (taken.GetProperty("requestId").GetGuid(), taken.GetProperty("needs")[0].GetProperty("needId").GetGuid());
                    accepted.Enqueue(new AcceptedCall(Call.Submit, request, [need], call.Key, DateTimeOffset.UtcNow));
                    return new Outcome(call, answeredAfter.Value, wasShed, request, need);
                }
                if (answer is not { StatusCode: HttpStatusCode.ServiceUnavailable, Headers.RetryAfter.Delta: { } pause })
                    throw new InvalidOperationException($"A call was answered {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
                wasShed = true;
                await Task.Delay(pause);
            }

            async Task<HttpResponseMessage?> TryPostAsync()
            {
                try
                {
                    return await PostAsync("requests", "v1/requests", "intake", call.Key, body, default);
                }
                catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
                {
                    return null;
                }
            }
        }

        // When, after the burst, all are let in again and nobody waits because there is too much before them.
        async Task<TimeSpan> DrainAsync()
        {
            await Task.Delay(burstEnds - watch.Elapsed is { Ticks: > 0 } early ? early : TimeSpan.Zero);
            while (true)
            {
                using var answer = await GetAsync("v1/admission");
                var mode = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("mode").GetString();
                // What came within the last moments is on its way.
                if (mode == "open" && await CountAsync("requests", "select count(*) from huzhu.mt_doc_requestview where data ->> 'unasked' = 'true' and submitted_at < now() - interval '3 s'") == 0
                    && await UntoldAsync("and m.timestamp < now() - interval '3 s'") == 0)
                    return watch.Elapsed;
                await Task.Delay(1_000);
            }
        }

        async Task<long> UntoldAsync(string which = "") =>
            await CountAsync("matching", $"""
                select (select count(*) from huzhu.needs where backlog is not null) + (select count(*) from huzhu.mt_events m where m.type = 'offer_made' {which} and not exists
                    (select 1 from huzhu.mt_events e where e.stream_id = m.stream_id and e.type in ('offer_sent', 'offer_undeliverable') and e.data->>'offerId' = m.data->>'offerId'))
                """);

        async Task<HttpResponseMessage> PostAsync(string service, string address, string role, string? key, object body, CancellationToken cancellation)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(services.BaseAddress(service), address)) { Content = JsonContent.Create(body) };
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", services.Token("bench", [role]));
            if (key is not null)
                request.Headers.TryAddWithoutValidation("Idempotency-Key", $"\"{key}\"");
            return await http.SendAsync(request, cancellation);
        }

        async Task<HttpResponseMessage> GetAsync(string address)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(services.BaseAddress("requests"), address));
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", services.Token("bench", ["auditor"]));
            return await http.SendAsync(request);
        }

        async Task<long> CountAsync(string service, string sql)
        {
            await using var command = data[service].CreateCommand(sql);
            return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
        }
    }

    sealed record Spread(double P50, double P99);

    static Spread Percentiles(IEnumerable<Outcome> outcomes, Func<Outcome, double> figure) => outcomes.Select(figure).ToList() is { Count: > 0 } values
        ? new(Math.Round(Machine.Percentile(values, 0.5)), Math.Round(Machine.Percentile(values, 0.99)))
        : new(0, 0);

    static T Locked<T>(object gate, Func<T> make)
    {
        lock (gate)
            return make();
    }

    static async Task UntilAsync(Func<Task<bool>> isSo, string what)
    {
        for (var until = DateTime.UtcNow + Patience; !await isSo(); await Task.Delay(1_000))
        {
            if (DateTime.UtcNow > until)
                throw new InvalidOperationException($"Waited {Patience.TotalMinutes} min for {what}.");
        }
    }
}
