using System.Diagnostics;
using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Local.Infrastructure;
using Huzhu.Matching.Ranking;
using Huzhu.TestKit;
using NetTopologySuite.Geometries;
using NetTopologySuite.Index.Strtree;
using Npgsql;

namespace Huzhu.Benchmarks;

/// <summary>
/// The nearest capable responder: the index of Matching beside NetTopologySuite's STRtree with an item filter, and beside
/// itself at other sizes and shares. Responders and needs clustered like a city; one thread; whatever is compared takes
/// turns, a few milliseconds each, and the ratio is that of one turn with the next.
/// </summary>
static class IndexBenchmark
{
    const int Rounds = 15, Queries = 10_000, PeerQueries = 500, Cases = 1_000_000;
    const ulong Kind = 1, Free = 1 << 12, Rare = 1 << 13;

    sealed record Figure(string Name, double MicrosecondsMin, double MicrosecondsMedian, double MicrosecondsMax, double? Ratio, double? RatioMin, double? RatioMax, string? Target, string? Beside);

    sealed record Report(string Machine, IReadOnlyList<Figure> Figures, long BytesPerQuery, long BytesPerUpdate, int ExactCases, string? FirstWrong, string PostGis);

    public static async Task<int> RunAsync(string[] arguments)
    {
        var city = new Directory(100_000, free: 0.6);
        var full = new Directory(100_000, free: 0.006);
        var small = new Directory(1_000, free: 0.6);
        var large = new Directory(1_000_000, free: 0.6);
        foreach (var traits in new[] { Kind | Free, Rare })
            city.CompareAnswers(traits);
        var figures = new List<Figure>
        {
            Beside("100,000 responders, 10 % eligible", () => city.Query(Kind | Free), "STRtree with an item filter", () => city.QueryPeer(Kind | Free), "≥ 30"),
            Beside("100,000 responders, a capability that 0.5 % have", () => city.Query(Rare), "STRtree with an item filter", () => city.QueryPeer(Rare), "≥ 10"),
            Beside("100,000 responders, 0.1 % eligible", () => full.Query(Kind | Free), "10 % eligible", () => city.Query(Kind | Free), "≤ 5", inverse: true),
            Beside("1,000,000 responders, 10 % eligible", () => large.Query(Kind | Free), "1,000 responders", () => small.Query(Kind | Free), "≤ 6", inverse: true),
            Beside("100,000 responders, 10 % eligible, again", () => city.Query(Kind | Free), "1,000 responders", () => small.Query(Kind | Free), null, inverse: true),
            Beside("update of one responder's free places", city.Update, "a query", () => city.Query(Kind | Free), "≤ 2", inverse: true),
        };
        var postGis = await BesidePostGisAsync(city, figures);
        var bytesPerQuery = Bytes(() => city.Query(Kind | Free));
        var bytesPerUpdate = Bytes(() => city.Update());
        var report = new Report(Machine.Description, figures, bytesPerQuery, bytesPerUpdate, Cases, IndexCases.FirstWrong(1_000_000, Cases), postGis);
        if (arguments.Contains("--json"))
        {
            Console.WriteLine(JsonSerializer.Serialize(report, JsonSerializerOptions.Web));
            return report.FirstWrong is null ? 0 : 1;
        }
        Console.WriteLine($"{"",-52}{"µs, median",12}{"min",9}{"max",9}{"ratio",9}{"min",9}{"max",9}  beside");
        foreach (var one in figures)
            Console.WriteLine($"{one.Name,-52}{one.MicrosecondsMedian,12:N3}{one.MicrosecondsMin,9:N3}{one.MicrosecondsMax,9:N3}{one.Ratio,9:N2}{one.RatioMin,9:N2}{one.RatioMax,9:N2}  {one.Beside}{(one.Target is null ? "" : $" (target {one.Target})")}");
        Console.WriteLine($"Allocated: {report.BytesPerQuery} bytes a query, {report.BytesPerUpdate} an update. Exactness: {report.FirstWrong ?? $"{Cases:N0} cases equal to brute force"}.");
        Console.WriteLine($"PostGIS: {postGis}. {report.Machine}.");
        return report.FirstWrong is null ? 0 : 1;
    }

    /// <returns>What was measured, or why nothing could be.</returns>
    static async Task<string> BesidePostGisAsync(Directory city, List<Figure> figures)
    {
        var repository = Repository.Find();
        if (!await Provisioning.EnsurePostGisAsync(repository, Narrator.ToError(), default))
            return "not installed and not to be had here: not measured";
        await using var run = await RunFolder.CreateAsync(repository, "bench");
        await using var server = await PostgresServer.StartAsync(await Provisioning.FindPostgresAsync(repository, Narrator.ToError(), default), run, default);
        await using var connection = new NpgsqlConnection(await server.CreateDatabaseAsync("index"));
        await connection.OpenAsync();
        var query = await city.PrepareAsync(connection);
        figures.Add(Beside("100,000 responders, 10 % eligible, beside PostGIS", () => city.Query(Kind | Free), "PostGIS k-nearest, prepared, one connection, round trip included",
            () => city.QueryPostGis(query, Kind | Free), "≥ 200"));
        return "k-nearest by GiST (<->) on geography with the same filter";
    }

    /// <summary>As many random cases as are asked for: <c>--cases</c>, ten million without it.</summary>
    public static Task<int> ExactnessAsync(string[] arguments)
    {
        var cases = Machine.Number(arguments, "--cases", 10_000_000);
        var wrong = IndexCases.FirstWrong(2_000_000, cases);
        Console.WriteLine(wrong ?? $"{cases:N0} cases equal to brute force.");
        return Task.FromResult(wrong is null ? 0 : 1);
    }

    /// <param name="inverse">The ratio is that of the costs, ours over the other's; otherwise of the speeds.</param>
    static Figure Beside(string name, Func<double> ours, string beside, Func<double> others, string? target, bool inverse = false)
    {
        for (var warm = 0; warm < 3; warm++)
            _ = ours() + others();
        var (costs, ratios) = (new List<double>(), new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            var (one, other) = (ours(), others());
            costs.Add(one);
            ratios.Add(inverse ? one / other : other / one);
        }
        costs.Sort();
        ratios.Sort();
        return new Figure(name, costs[0], costs[Rounds / 2], costs[^1], ratios[Rounds / 2], ratios[0], ratios[^1], target, beside);
    }

    static long Bytes(Func<double> measured)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        measured();
        return (GC.GetAllocatedBytesForCurrentThread() - before) / Queries;
    }

    sealed class Directory
    {
        readonly SpatialIndex _index = new();
        readonly STRtree<Responder> _peer = new();
        readonly Responder[] _responders;
        readonly GeoPoint[] _needs = new GeoPoint[Queries];
        int _turn;

        sealed record Responder(GeoPoint Place, Point Flat, ulong Traits, int Handle);

        public Directory(int size, double free)
        {
            var random = new Random(1);
            _responders = new Responder[size];
            for (var number = 0; number < size; number++)
            {
                var place = City.Place(random);
                // Two of twelve service kinds, some of eight abilities.
                var traits = Kind << random.Next(12) | Kind << random.Next(12) | (ulong)random.Next(256) << 14
                    | (random.NextDouble() < free ? Free : 0) | (random.NextDouble() < 0.005 ? Rare : 0);
                _responders[number] = new Responder(place, Flat(place), traits, _index.Add(place, double.PositiveInfinity, traits, 0, (ulong)number));
                _peer.Insert(new Envelope(_responders[number].Flat.Coordinate), _responders[number]);
            }
            _peer.Build();
            for (var number = 0; number < _needs.Length; number++)
                _needs[number] = City.Place(random);
        }

        public double Query(ulong traits)
        {
            var started = Stopwatch.GetTimestamp();
            foreach (var need in _needs)
                Nearest(need, traits);
            return Stopwatch.GetElapsedTime(started).TotalMicroseconds / _needs.Length;
        }

        public double QueryPeer(ulong traits)
        {
            var filter = new Filter(traits);
            // Other needs each turn, so that the peer sees all of them too.
            var from = _turn++ * PeerQueries % Queries;
            var started = Stopwatch.GetTimestamp();
            for (var number = from; number < from + PeerQueries; number++)
                NearestOfPeer(_needs[number], filter);
            return Stopwatch.GetElapsedTime(started).TotalMicroseconds / PeerQueries;
        }

        /// <summary>The same responders in a table, and the question for the nearest of them, prepared.</summary>
        public async Task<NpgsqlCommand> PrepareAsync(NpgsqlConnection connection)
        {
            await ExecuteAsync("create extension postgis; create table responder (id int primary key, traits bigint not null, lat float8 not null, lon float8 not null, place geography(point))");
            await using (var rows = await connection.BeginBinaryImportAsync("copy responder (id, traits, lat, lon) from stdin (format binary)"))
            {
                for (var number = 0; number < _responders.Length; number++)
                    await rows.WriteRowAsync(default, number, (long)_responders[number].Traits, _responders[number].Place.Latitude, _responders[number].Place.Longitude);
                await rows.CompleteAsync();
            }
            await ExecuteAsync("update responder set place = st_makepoint(lon, lat)::geography; create index responder_place on responder using gist (place); vacuum (full, analyze) responder");
            var query = new NpgsqlCommand("select id from responder where traits & $3 = $3 order by place <-> st_makepoint($2, $1)::geography limit 1", connection)
            {
                Parameters = { new NpgsqlParameter<double>(), new NpgsqlParameter<double>(), new NpgsqlParameter<long>() },
            };
            await query.PrepareAsync();
            return query;

            async Task ExecuteAsync(string statements)
            {
                // One by one: VACUUM stands in no transaction.
                foreach (var sql in statements.Split("; "))
                {
                    await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 600 };
                    await command.ExecuteNonQueryAsync();
                }
            }
        }

        public double QueryPostGis(NpgsqlCommand query, ulong traits)
        {
            var from = _turn++ * PeerQueries % Queries;
            var started = Stopwatch.GetTimestamp();
            for (var number = from; number < from + PeerQueries; number++)
            {
                ((NpgsqlParameter<double>)query.Parameters[0]).TypedValue = _needs[number].Latitude;
                ((NpgsqlParameter<double>)query.Parameters[1]).TypedValue = _needs[number].Longitude;
                ((NpgsqlParameter<long>)query.Parameters[2]).TypedValue = (long)traits;
                query.ExecuteScalar();
            }
            return Stopwatch.GetElapsedTime(started).TotalMicroseconds / PeerQueries;
        }

        /// <summary>The last place is taken, or one is freed.</summary>
        public double Update()
        {
            var started = Stopwatch.GetTimestamp();
            for (var number = 0; number < Queries; number++)
            {
                var responder = _responders[(int)((long)number * 7919 % _responders.Length)];
                _index.Update(responder.Handle, responder.Traits ^ (_turn % 2 == 0 ? Free : 0), (number & 3) / 4.0);
            }
            _turn++;
            return Stopwatch.GetElapsedTime(started).TotalMicroseconds / Queries;
        }

        public void CompareAnswers(ulong traits)
        {
            var filter = new Filter(traits);
            foreach (var need in _needs.Take(PeerQueries))
            {
                var (ours, peers) = (Sphere.DistanceMetres(need, Nearest(need, traits).Place), Sphere.DistanceMetres(need, NearestOfPeer(need, filter).Place));
                // The peer works on a plane.
                if (Math.Abs(ours - peers) > 1e-3 * (1 + ours))
                    throw new InvalidOperationException($"The index found one at {ours} m, the STRtree one at {peers} m.");
            }
        }

        Responder Nearest(GeoPoint need, ulong traits)
        {
            _index.SearchNear(need, traits, withinReach: true);
            return _index.Next(out var handle, out _) ? _responders[handle] : throw new InvalidOperationException("Nobody was found: the benchmark would measure nothing.");
        }

        Responder NearestOfPeer(GeoPoint need, Filter filter)
        {
            var flat = Flat(need);
            return _peer.NearestNeighbour(new Envelope(flat.Coordinate), new Responder(need, flat, 0, -1), filter);
        }

        static Point Flat(GeoPoint place) => new(place.Longitude * Math.Cos(Sphere.Radians(31.22)), place.Latitude);

        sealed class Filter(ulong traits) : IItemDistance<Envelope, Responder>
        {
            public double Distance(IBoundable<Envelope, Responder> one, IBoundable<Envelope, Responder> other) =>
                IsWanted(one.Item) && IsWanted(other.Item) ? one.Item.Flat.Coordinate.Distance(other.Item.Flat.Coordinate) : double.MaxValue;

            // The need itself is the item without a handle.
            bool IsWanted(Responder item) => item.Handle < 0 || (item.Traits & traits) == traits;
        }
    }
}
