using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Local.Infrastructure;
using Npgsql;

namespace Huzhu.Benchmarks;

/// <summary>
/// The whole path of a need: HTTP 202 at Requests, its log and relay, RabbitMQ, Matching, its log and relay, RabbitMQ,
/// Notifications' attempt in the log. Beside it the same job in one hand-written service with PostGIS, which tells nobody.
/// </summary>
static class PipelineBenchmark
{
    const int Responders = 318;
    static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    sealed record Figure(string Name, string Unit, double Median, double Min, double Max, string? Beside, double? Other, double? Ratio, string Target, bool? Reached);

    public static async Task<int> RunAsync(string[] arguments)
    {
        var json = arguments.Contains("--json");
        var (needs, turns, backlog) = (Machine.Number(arguments, "--needs", 3_000), Machine.Number(arguments, "--turns", 5), Machine.Number(arguments, "--backlog", 20_000));
        var (seconds, many) = (Machine.Number(arguments, "--seconds", 30), Machine.Number(arguments, "--responders", 10_000));
        var rate = Machine.Number(arguments, "--rate", 50);
        var only = Machine.Only(arguments, "path", "lane", "closure", "commit", "growth");
        var figures = new List<Figure>();
        if (only is null or "path")
            await PathAsync();
        if (only is null or "lane")
            await LaneAsync();
        if (only is null or "closure")
            await ClosuresAsync();
        if (only is null or "commit")
            await CommitsAsync();
        if (only is null or "growth")
            await GrowthAsync();
        return Machine.Close(json, figures);

        async Task PathAsync()
        {
            var postGis = await Provisioning.EnsurePostGisAsync(Repository.Find(), Narrator.ToError(), default);
            await using var path = await Path.StartAsync();
            // A service that has just started compiles what it runs; it is measured as one that has run for a while.
            await path.BurstAsync(needs / 3, 64);
            await path.SteadyAsync(rate, seconds);
            var before = path.ProcessorSeconds;
            var steady = await path.SteadyAsync(rate, seconds);
            var latencies = steady.ConvertAll(need => need.Offered);
            Add($"accepted to offer committed, {rate} needs/s, p50", "ms", [Machine.Percentile(latencies, 0.5)], null, null, "≤ 25 ms", value => value <= 25);
            Add($"accepted to offer committed, {rate} needs/s, p99", "ms", [Machine.Percentile(latencies, 0.99)], null, null, "≤ 100 ms", value => value <= 100);
            Add("of that until Requests' transaction, p50", "ms", [Machine.Percentile(steady.ConvertAll(need => need.Logged), 0.5)], null, null, "", null);
            Add("of that from there to Matching's, p50", "ms", [Machine.Percentile(steady.ConvertAll(need => need.Offered - need.Logged), 0.5)], null, null, "", null);
            Add("answered 202, p50", "ms", [Machine.Percentile(steady.ConvertAll(need => need.Answered), 0.5)], null, null, "", null);
            foreach (var (process, used) in path.ProcessorSeconds)
                Add($"of the machine at that, in {process}", "%", [(used - before.GetValueOrDefault(process)) * 100 / seconds / Environment.ProcessorCount], null, null, "", null);
            var (rows, transactions) = await path.WrittenForOneAsync();
            Add("events written for one need, submitted to offered", "rows", [rows], null, null, "≤ 6", value => value <= 6);
            Add("transactions for it, outside batches", "transactions", [transactions], null, null, "≤ 3", value => value <= 3);
            var (ours, peers, costs) = (new List<double>(), new List<double>(), new List<IReadOnlyDictionary<string, double>>());
            for (var turn = 0; turn < turns; turn++)
            {
                before = path.ProcessorSeconds;
                ours.Add(await path.BurstAsync(needs, 64));
                var after = path.ProcessorSeconds;
                costs.Add(after.ToDictionary(process => process.Key, process => (process.Value - before.GetValueOrDefault(process.Key)) * 1000 / needs));
                if (postGis)
                    peers.Add((await PeerAsync(path.Infrastructure, needs, turn)).PerSecond);
            }
            Add("the whole path, needs that come as fast as they are taken", "needs/s", ours, postGis ? "one service with PostGIS" : "PostGIS could not be installed", postGis ? peers : null, "≥ 2.0 ×", ratio => ratio >= 2);
            foreach (var process in costs[0].Keys)
                Add($"processor time of a need in it: {process}", "ms", [.. costs.Select(cost => cost.GetValueOrDefault(process))], null, null, "", null);
            await path.CheckAsync();
        }

        async Task LaneAsync()
        {
            await using var infrastructure = await LocalInfrastructure.StartAsync("bench", Narrator.ToError());
            var waits = new List<double>();
            for (var turn = 0; turn < Math.Min(turns, 3); turn++)
                waits.AddRange(await UrgentAsync(infrastructure, backlog));
            Add($"life-threatening behind a backlog of {backlog.ToString("N0", CultureInfo.InvariantCulture)}, until its offer is told, p99", "ms", [Machine.Percentile(waits, 0.99)], null, null, "≤ 500 ms", value => value <= 500);
            Add("the same, p50", "ms", [Machine.Percentile(waits, 0.5)], null, null, "", null);
        }

        async Task ClosuresAsync()
        {
            const int Held = 5_000;
            await using var infrastructure = await LocalInfrastructure.StartAsync("bench", Narrator.ToError());
            var times = new List<double>();
            for (var turn = 0; turn < turns; turn++)
                times.Add(await ClosureAsync(infrastructure, Held));
            Add($"a provider that holds {Held.ToString("N0", CultureInfo.InvariantCulture)} needs closes: until each has another offer or a reason to wait", "s", times, null, null, "≤ 5 s", value => value <= 5);
        }

        async Task CommitsAsync()
        {
            var postGis = await Provisioning.EnsurePostGisAsync(Repository.Find(), Narrator.ToError(), default);
            await using var infrastructure = await LocalInfrastructure.StartAsync("bench", Narrator.ToError());
            var (ours, peers) = (new List<double>(), new List<double>());
            for (var turn = 0; turn < turns; turn++)
            {
                ours.AddRange((await CostAsync(infrastructure, Responders, needs)).Select(cost => needs / cost.DecidingCpuSeconds));
                if (postGis)
                    peers.Add((await PeerAsync(infrastructure, needs, turn)).PerCpuSecond);
            }
            Add("decide and commit, a second of processor time of Matching and PostgreSQL", "needs", ours, postGis ? "one service with PostGIS" : "PostGIS could not be installed", postGis ? peers : null, "≥ 20 ×", ratio => ratio >= 20);
        }

        async Task GrowthAsync()
        {
            await using var infrastructure = await LocalInfrastructure.StartAsync("bench", Narrator.ToError());
            var (few, more) = (new List<double>(), new List<double>());
            for (var turn = 0; turn < Math.Min(turns, 3); turn++)
            {
                few.AddRange((await CostAsync(infrastructure, Responders, needs)).Select(cost => cost.CpuSeconds * 1000 / needs));
                more.AddRange((await CostAsync(infrastructure, many, needs)).Select(cost => cost.CpuSeconds * 1000 / needs));
            }
            Add($"processor time of a need in Matching, database and broker included, {many.ToString("N0", CultureInfo.InvariantCulture)} responders", "ms", more, $"{Responders} responders", few, "≤ 1.2 ×", ratio => ratio <= 1.2);
        }

        void Add(string name, string unit, List<double> values, string? beside, List<double>? others, string target, Func<double, bool>? reached)
        {
            var ratio = others is { Count: > 0 } ? Machine.Median(values) / Machine.Median(others) : (double?)null;
            var figure = new Figure(name, unit, Machine.Median(values), values.Min(), values.Max(), beside, others is { Count: > 0 } ? Machine.Median(others) : null, ratio,
                target, reached is null || beside is not null && ratio is null ? null : reached(ratio ?? Machine.Median(values)));
            figures.Add(figure);
            if (!json)
                Console.WriteLine($"{name}: {figure.Median:0.##} {unit} ({figure.Min:0.##} to {figure.Max:0.##}){(beside is null ? "" : ratio is null ? $", {beside}" : $", {beside} {figure.Other:0.##}: {ratio:0.00} ×")}"
                    + (target.Length == 0 ? "" : $"; target {target}: {(figure.Reached is { } holds ? holds ? "reached" : "not reached" : "not measured")}"));
        }
    }

    /// <summary>All four services, with groups that take everything.</summary>
    sealed class Path : IAsyncDisposable
    {
        readonly LocalDeployment _deployment;
        readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 256 });
        readonly Dictionary<string, NpgsqlDataSource> _data;
        readonly Random _random = new(1);
        int _submitted;

        Path(LocalDeployment deployment)
        {
            _deployment = deployment;
            _data = deployment.Services.Options.Databases.ToDictionary(one => one.Key, one => NpgsqlDataSource.Create(one.Value));
        }

        public LocalInfrastructure Infrastructure => _deployment.Infrastructure;

        /// <summary>By process; that of the callers, which are this program, included.</summary>
        public IReadOnlyDictionary<string, double> ProcessorSeconds =>
            new Dictionary<string, double>(ProcessorTime.Of(Infrastructure.Run)) { ["callers"] = Environment.CpuUsage.TotalTime.TotalSeconds };

        public static async Task<Path> StartAsync()
        {
            var path = new Path(await LocalDeployment.StartAsync(new LocalDeploymentOptions
            {
                Kind = "bench",
                Narrator = Narrator.ToError(),
                // How fast the path is, and not how it bears up against more: that is the surge's.
                Environment = new Dictionary<string, string> { ["Limits__RequestsPerSecond"] = "100000", ["Admission__MostUnasked"] = "1000000", ["Admission__LongestSubmissionSeconds"] = "3600" },
            }));
            var groups = Groups(new Random(1), Responders, 1_000);
            await Parallel.ForEachAsync(groups, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (group, token) => await path.PostAsync("groups", "v1/groups", "coordinator", new
            {
                id = group.ResponderId,
                name = "bench",
                sites = group.Sites.Select(site => new { lat = site.Place.Latitude, lon = site.Place.Longitude, subDistrict = site.SubDistrict }),
                radiusMetres = group.RadiusMetres,
                serviceKinds = group.ServiceKinds,
                modes = new[] { "online", "offline" },
                communicationAbilities = group.CommunicationAbilities.Select(Words.Of),
                capacity = group.Capacity,
                channels = new[] { new { kind = "file", address = $"group-{group.ResponderId}" } },
            }, token));
            await path.UntilAsync("matching", "select count(*) from huzhu.responders", Responders);
            await MatchingFleet.MakeOffersFasterThanToldAsync(path._deployment.Services);
            return path;
        }

        /// <summary>As fast as they are taken in, by so many callers at once, until the last responder has been told.</summary>
        /// <returns>Needs a second.</returns>
        public async Task<double> BurstAsync(int needs, int callers)
        {
            var bodies = Enumerable.Range(0, needs).Select(_ => Request()).ToList();
            var told = await CountAsync("notifications", Told);
            var watch = Stopwatch.StartNew();
            await Parallel.ForEachAsync(bodies, new ParallelOptions { MaxDegreeOfParallelism = callers }, async (body, token) => await SubmitAsync(body, token));
            await UntilAsync("notifications", Told, told + needs);
            return needs / watch.Elapsed.TotalSeconds;
        }

        /// <summary>Requests leave at their planned time, whatever became of those before.</summary>
        /// <returns>By need, in ms from the moment that it was planned to leave: until it was in the log of Requests, answered, and its offer in the log of Matching.</returns>
        public async Task<List<(double Logged, double Answered, double Offered)>> SteadyAsync(int perSecond, int seconds)
        {
            var sent = new ConcurrentDictionary<Guid, (Guid Request, DateTimeOffset Planned, DateTimeOffset Answered)>();
            var (start, watch) = (DateTimeOffset.UtcNow, Stopwatch.StartNew());
            var sends = new List<Task>();
            for (var number = 0; number < perSecond * seconds; number++)
            {
                var at = TimeSpan.FromSeconds((double)number / perSecond);
                if (at - watch.Elapsed is { Ticks: > 0 } early)
                    await Task.Delay(early);
                sends.Add(Task.Run(async () =>
                {
                    var (request, need) = await SubmitAsync(Request(), default);
                    sent[need] = (request, start + at, DateTimeOffset.UtcNow);
                }));
            }
            await Task.WhenAll(sends);
            await UntilAsync("matching", "select count(distinct stream_id) from huzhu.mt_events where type = 'offer_made'", _submitted);
            var (logged, offered) = (await FirstAsync("requests", "request_submitted"), await FirstAsync("matching", "offer_made"));
            return [.. sent.Select(need => (
                (logged[need.Value.Request] - need.Value.Planned).TotalMilliseconds,
                (need.Value.Answered - need.Value.Planned).TotalMilliseconds,
                (offered[need.Key] - need.Value.Planned).TotalMilliseconds))];
        }

        /// <returns>By stream: the time of its first event of the type.</returns>
        async Task<IReadOnlyDictionary<Guid, DateTimeOffset>> FirstAsync(string service, string type)
        {
            await using var command = _data[service].CreateCommand($"select stream_id, min(timestamp) from huzhu.mt_events where type = '{type}' group by stream_id");
            await using var reader = await command.ExecuteReaderAsync();
            var first = new Dictionary<Guid, DateTimeOffset>();
            while (await reader.ReadAsync())
                first[reader.GetGuid(0)] = reader.GetFieldValue<DateTimeOffset>(1);
            return first;
        }

        /// <summary>Rows of the logs of Requests and Matching from submission to offer, and the transactions that wrote them.</summary>
        public async Task<(double Rows, double Transactions)> WrittenForOneAsync()
        {
            await Task.Delay(2_000);
            var marks = await Task.WhenAll(CountAsync("requests", Last), CountAsync("matching", Last));
            var (_, need) = await SubmitAsync(Request(), default);
            await UntilAsync("matching", $"select count(*) from huzhu.mt_events where type = 'offer_made' and stream_id = '{need}'", 1);
            var (rows, transactions) = (0.0, 0.0);
            foreach (var (service, mark, until) in new[] { ("requests", marks[0], "true"), ("matching", marks[1], "type in ('need_received', 'offer_made', 'place_held')") })
            {
                // What is told back of the offer comes after it.
                var where = $"seq_id > {mark} and {until}{(service == "requests" ? " and type <> 'need_state_recorded'" : "")}";
                rows += await CountAsync(service, $"select count(*) from huzhu.mt_events where {where}");
                transactions += await CountAsync(service, $"select count(distinct xmin::text) from huzhu.mt_events where {where}");
            }
            return (rows, transactions);
        }

        /// <summary>Every need that was accepted has its offer, once, and no ledger is above its capacity.</summary>
        public async Task CheckAsync()
        {
            var offered = await CountAsync("matching", "select count(distinct stream_id) from huzhu.mt_events where type = 'offer_made'");
            var offers = await CountAsync("matching", "select count(distinct data->>'offerId') from huzhu.mt_events where type = 'offer_made'");
            var over = await CountAsync("matching", """
                select count(*) from (select o.responder_id, count(*) as held, max((r.profile->>'capacity')::int) as capacity
                from huzhu.offers o join huzhu.responders r on r.id = o.responder_id where o.holds_place group by 1) ledger where held > capacity
                """);
            if (offered != _submitted || offers != _submitted || over != 0)
                throw new InvalidOperationException($"{_submitted} needs were accepted, {offered} have {offers} offers, {over} ledgers are above their capacity: these figures count for nothing.");
        }

        public async ValueTask DisposeAsync()
        {
            _http.Dispose();
            foreach (var source in _data.Values)
                await source.DisposeAsync();
            await _deployment.DisposeAsync();
        }

        const string Last = "select coalesce(max(seq_id), 0) from huzhu.mt_events";
        const string Told = "select count(*) from huzhu.mt_events where type = 'notification_delivered' and data->>'offer' is not null";

        object Request()
        {
            lock (_random)
            {
                var place = City.InTheCore(_random);
                return new
                {
                    source = "bench",
                    externalId = Guid.NewGuid().ToString("N"),
                    channel = "phone",
                    receivedAt = DateTimeOffset.UtcNow,
                    caller = new { @ref = Guid.NewGuid().ToString("N"), name = "Lin", phone = "+8613800000000", channels = new[] { new { kind = "file", address = "requester" } } },
                    location = new { lat = place.Latitude, lon = place.Longitude, subDistrict = "J" },
                    needs = new[] { new { kind = "meals", mode = "offline", quantity = 1 } },
                    urgency = "hardship",
                    communication = _random.Next(10) == 0 ? new[] { "sign-language" } : [],
                    consent = new { basis = "explicit", at = DateTimeOffset.UtcNow },
                    callbackOk = true,
                };
            }
        }

        async Task<(Guid Request, Guid Need)> SubmitAsync(object body, CancellationToken cancellation)
        {
            var answer = await PostAsync("requests", "v1/requests", "intake", body, cancellation);
            Interlocked.Increment(ref _submitted);
            return (answer.GetProperty("requestId").GetGuid(), answer.GetProperty("needs")[0].GetProperty("needId").GetGuid());
        }

        async Task<JsonElement> PostAsync(string service, string address, string role, object body, CancellationToken cancellation)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_deployment.Services.BaseAddress(service), address)) { Content = JsonContent.Create(body) };
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _deployment.Services.Token("bench", [role]));
            request.Headers.TryAddWithoutValidation("Idempotency-Key", $"\"{Guid.NewGuid():N}\"");
            using var response = await _http.SendAsync(request, cancellation);
            return response.IsSuccessStatusCode
                ? await response.Content.ReadFromJsonAsync<JsonElement>(cancellation)
                : throw new InvalidOperationException($"{address} was answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(cancellation)}");
        }

        async Task UntilAsync(string service, string sql, long count)
        {
            var until = DateTime.UtcNow + Patience;
            while (await CountAsync(service, sql) < count)
            {
                if (DateTime.UtcNow > until)
                    throw new InvalidOperationException($"{service}: \"{sql}\" is {await CountAsync(service, sql)} instead of {count}.");
                await Task.Delay(25);
            }
        }

        async Task<long> CountAsync(string service, string sql)
        {
            await using var command = _data[service].CreateCommand(sql);
            return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
        }
    }

    /// <summary>The best of several numbers of callers, on fresh tables.</summary>
    /// <returns>Needs a second, and a second of processor time of the service and its database.</returns>
    static async Task<(double PerSecond, double PerCpuSecond)> PeerAsync(LocalInfrastructure infrastructure, int needs, int turn)
    {
        var (best, bestForTime) = (0.0, 0.0);
        foreach (var callers in new[] { 16, 64 })
        {
            var connection = await infrastructure.Postgres.CreateDatabaseAsync($"peer_{turn}_{callers}", maximumPoolSize: 32);
            await using (var database = NpgsqlDataSource.Create(connection))
                await PostGisPeer.PrepareAsync(database, [.. Groups(new Random(1), Responders, 1_000).Select(group => (group.Sites[0].Place, group.ServiceKinds.ToArray(), group.CommunicationAbilities.Count, group.Capacity))]);
            var address = new Uri($"http://127.0.0.1:{FreePorts.Next()}");
            var process = PostGisPeer.Start(infrastructure.Run, connection, address);
            try
            {
                using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 256 }) { BaseAddress = address };
                await ReadyAsync(http);
                await RunAsync(http, needs / 3, callers, new Random(7));
                var (before, watch) = (Used(), Stopwatch.StartNew());
                await RunAsync(http, needs, callers, new Random(8));
                best = Math.Max(best, needs / watch.Elapsed.TotalSeconds);
                bestForTime = Math.Max(bestForTime, needs / (Used() - before));
            }
            finally
            {
                await process.StopAsync(Signal.Terminate, TimeSpan.FromSeconds(5));
            }
        }
        return (best, bestForTime);

        double Used() => ProcessorTime.Of(infrastructure.Run).Where(process => process.Key is PostGisPeer.Verb or ServerNames.Postgres).Sum(process => process.Value);

        static async Task RunAsync(HttpClient http, int needs, int callers, Random random)
        {
            var asked = Enumerable.Range(0, needs).Select(_ => (City.InTheCore(random), random.Next(10) == 0 ? 1 : 0)).ToList();
            await Parallel.ForEachAsync(asked, new ParallelOptions { MaxDegreeOfParallelism = callers }, async (need, token) =>
            {
                using var response = await http.PostAsJsonAsync("needs", new PostGisPeer.Asked(Guid.NewGuid(), ServiceKinds.Meals, need.Item1.Latitude, need.Item1.Longitude, need.Item2), token);
                response.EnsureSuccessStatusCode();
            });
        }

        static async Task ReadyAsync(HttpClient http)
        {
            for (var watch = Stopwatch.StartNew(); watch.Elapsed < TimeSpan.FromSeconds(60); await Task.Delay(50))
            {
                try
                {
                    if ((await http.GetAsync("health/ready")).IsSuccessStatusCode)
                        return;
                }
                catch (HttpRequestException)
                {
                }
            }
            throw new InvalidOperationException("The service with PostGIS did not start.");
        }
    }

    /// <summary>Needs of people in danger of life, told while so many others wait in the queue before them.</summary>
    /// <returns>By need: from being told to its first offer being told, in ms.</returns>
    static async Task<List<double>> UrgentAsync(LocalInfrastructure infrastructure, int backlog)
    {
        var random = new Random(5);
        var (said, waits) = (new ConcurrentDictionary<NeedId, long>(), new ConcurrentDictionary<NeedId, double>());
        await using var fleet = await MatchingFleet.StartAsync(infrastructure, 1, offer =>
        {
            if (said.TryGetValue(offer.NeedId, out var at))
                waits.TryAdd(offer.NeedId, Stopwatch.GetElapsedTime(at).TotalMilliseconds);
            return Task.CompletedTask;
        });
        await fleet.ListAsync(Groups(random, Responders, backlog / 100));
        // A smaller one first, which is not counted: a process that has just started compiles what it runs.
        var submitted = await BehindAsync(backlog / 10);
        said.Clear();
        submitted += await BehindAsync(backlog);
        await fleet.CheckAsync(submitted);
        return [.. said.Keys.Select(need => waits.TryGetValue(need, out var wait) ? wait : throw new InvalidOperationException($"The offer of {need} has not been told."))];

        async Task<int> BehindAsync(int ahead)
        {
            var before = await fleet.CountAsync("select count(*) from huzhu.needs");
            foreach (var body in Enumerable.Range(0, ahead).Select(_ => MatchingFleet.Serialize(new NeedSubmitted(Need(random, Urgency.Hardship), DateTimeOffset.UtcNow))).ToList())
                await fleet.SayAsync(typeof(NeedSubmitted), body);
            // A service publishes over a connection of its own, and not behind the backlog in this one.
            await fleet.UntilTakenAsync();
            while (await fleet.CountAsync("select count(*) from huzhu.needs") < before + ahead * 9 / 10)
            {
                var need = Need(random, Urgency.LifeThreatening);
                said[need.NeedId] = Stopwatch.GetTimestamp();
                await fleet.SayAsync(new LifeThreateningNeedSubmitted(need, DateTimeOffset.UtcNow));
                await fleet.SayAsync(new NeedSubmitted(need, DateTimeOffset.UtcNow));
                await Task.Delay(100);
            }
            await fleet.UntilAsync("select count(distinct need_id) from huzhu.offers", before + ahead + said.Count, Patience);
            await Task.Delay(1_000);
            return ahead + said.Count;
        }
    }

    /// <summary>Needs that one provider holds, and groups that have places for a quarter more; then the provider closes. Twice, the first time to warm the process.</summary>
    /// <returns>Seconds from the closure being told until the log has something else for each need.</returns>
    static async Task<double> ClosureAsync(LocalInfrastructure infrastructure, int held)
    {
        const string Moved = "from huzhu.mt_events where type in ('offer_made', 'need_waits') and seq_id > ";
        var random = new Random(9);
        await using var fleet = await MatchingFleet.StartAsync(infrastructure, 1);
        var (seconds, listed) = (0.0, 0);
        for (var closure = 1; closure <= 2; closure++)
        {
            var provider = Groups(random, 1, held)[0] with { Kind = ResponderKind.Provider, CommunicationAbilities = [CommunicationNeed.SignLanguage] };
            await fleet.SayAsync(provider);
            await fleet.UntilAsync("select count(*) from huzhu.responders", ++listed, Patience);
            for (var number = 0; number < held; number++)
                await fleet.SayAsync(new NeedSubmitted(Need(random, Urgency.Hardship), DateTimeOffset.UtcNow));
            await fleet.UntilOffersAsync((2 * closure - 1) * held, Patience);
            foreach (var group in Groups(random, Responders, held * 5 / 4 / Responders + 1))
                await fleet.SayAsync(group);
            await fleet.UntilAsync("select count(*) from huzhu.responders", listed += Responders, Patience);
            await Task.Delay(1_000);
            var mark = await fleet.CountAsync("select max(seq_id) from huzhu.mt_events");
            var at = DateTimeOffset.UtcNow;
            await fleet.SayAsync(provider with { Version = 2, Opening = Opening.Closed });
            // Looked for seldom: the log knows when it was, and looking costs the time that is measured.
            for (var until = at + Patience; await fleet.CountAsync($"select count(distinct stream_id) {Moved}{mark}") < held;)
            {
                if (DateTimeOffset.UtcNow > until)
                    throw new InvalidOperationException($"After {Patience.TotalSeconds:0} s not every need of the closed provider has another offer or a reason to wait.");
                await Task.Delay(1_000);
            }
            await using var command = fleet.Data.CreateCommand($"select max(first) from (select min(timestamp) as first {Moved}{mark} group by stream_id) each");
            seconds = ((DateTime)(await command.ExecuteScalarAsync())! - at.UtcDateTime).TotalSeconds;
        }
        await fleet.CheckAsync(2 * held);
        return seconds;
    }

    static async Task<List<FleetCounts>> CostAsync(LocalInfrastructure infrastructure, int responders, int needs)
    {
        var random = new Random(6);
        await using var fleet = await MatchingFleet.StartAsync(infrastructure, 1);
        await fleet.ListAsync(Groups(random, responders, Math.Max(20, needs * 5 / responders)));
        var costs = new List<FleetCounts>();
        for (var burst = 0; burst <= 3; burst++)
        {
            var bodies = Enumerable.Range(0, needs).Select(_ => MatchingFleet.Serialize(new NeedSubmitted(Need(random, Urgency.Hardship), DateTimeOffset.UtcNow))).ToList();
            var before = await fleet.CountsAsync();
            foreach (var body in bodies)
                await fleet.SayAsync(typeof(NeedSubmitted), body);
            await fleet.UntilOffersAsync((long)needs * (burst + 1), Patience);
            if (burst > 0)
                costs.Add(await fleet.CountsAsync() - before);
        }
        await fleet.CheckAsync(needs * 4);
        return costs;
    }

    static List<ResponderChanged> Groups(Random random, int count, int capacity) => [.. Enumerable.Range(0, count).Select(number => new ResponderChanged(
        ResponderId.Of(City.Id(random)), ResponderKind.Group, 1, Opening.Open, null, null, [new Site(City.InTheCore(random), "J")], 20_000, [], [ServiceKinds.Meals],
        [DeliveryMode.Online, DeliveryMode.Offline], number % 3 == 0 ? [CommunicationNeed.SignLanguage] : [], capacity, false, null, [], DateTimeOffset.UtcNow))];

    static Need Need(Random random, Urgency urgency) => new(NeedId.Of(City.Id(random)), RequestId.Of(City.Id(random)), PersonId.Of(City.Id(random)), ServiceKinds.Meals, DeliveryMode.Offline, 1,
        City.InTheCore(random), "J", urgency, random.Next(10) == 0 ? [CommunicationNeed.SignLanguage] : [], null, [], DateTimeOffset.UtcNow);
}
