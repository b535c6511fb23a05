using Huzhu.Contracts;
using Huzhu.Local.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace Huzhu.Benchmarks;

/// <summary>
/// The same job as a person would write it by hand for one table of responders: a minimal API, Npgsql and PostGIS. One
/// transaction inserts the need and takes the nearest free place: the eight nearest ids in a materialized CTE, then a lock by key
/// that skips what others hold. No events, no bus, no explanation, nobody is told.
/// </summary>
static class PostGisPeer
{
    public const string Verb = "postgis-peer";
    const int Nearest = 8;

    /// <param name="Lat">WGS84.</param>
    /// <param name="Communication">Bits of <see cref="CommunicationNeed"/>.</param>
    public sealed record Asked(Guid Id, string Kind, double Lat, double Lon, int Communication);

    public static async Task PrepareAsync(NpgsqlDataSource database, IReadOnlyList<(GeoPoint Place, string[] Kinds, int Abilities, int Capacity)> responders)
    {
        await ExecuteAsync(database, """
            create extension if not exists postgis;
            create table responder (id uuid primary key, place geography(point) not null, kinds text[] not null, abilities int not null, free int not null) with (fillfactor = 70);
            create table need (id uuid primary key, responder uuid, kind text not null, place geography(point) not null, at timestamptz not null default now());
            create table responder_in (id uuid, lat float8, lon float8, kinds text[], abilities int, free int);
            """);
        await using (var connection = await database.OpenConnectionAsync())
        await using (var rows = await connection.BeginBinaryImportAsync("copy responder_in from stdin (format binary)"))
        {
            foreach (var (place, kinds, abilities, capacity) in responders)
            {
                await rows.StartRowAsync();
                await rows.WriteAsync(Guid.NewGuid(), NpgsqlDbType.Uuid);
                await rows.WriteAsync(place.Latitude, NpgsqlDbType.Double);
                await rows.WriteAsync(place.Longitude, NpgsqlDbType.Double);
                await rows.WriteAsync(kinds, NpgsqlDbType.Array | NpgsqlDbType.Text);
                await rows.WriteAsync(abilities, NpgsqlDbType.Integer);
                await rows.WriteAsync(capacity, NpgsqlDbType.Integer);
            }
            await rows.CompleteAsync();
        }
        await ExecuteAsync(database, """
            insert into responder select id, st_makepoint(lon, lat)::geography, kinds, abilities, free from responder_in;
            drop table responder_in;
            create index responder_place on responder using gist (place) where free > 0;
            analyze responder;
            """);
    }

    /// <summary>Runs the service until it is stopped; it listens where ASPNETCORE_URLS says.</summary>
    public static async Task<int> RunAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        await using var database = NpgsqlDataSource.Create(Environment.GetEnvironmentVariable("PEER_DATABASE")
            ?? throw new InvalidOperationException("PEER_DATABASE is missing."));
        var app = builder.Build();
        app.MapGet("/health/ready", () => Results.Ok());
        app.MapPost("/needs", async (Asked need) =>
        {
            await using var connection = await database.OpenConnectionAsync();
            await using var transaction = await connection.BeginTransactionAsync();
            await using var take = new NpgsqlCommand($"""
                with nearest as materialized (
                    select id, place <-> st_makepoint($3, $2)::geography as metres from responder
                    where free > 0 and kinds @> array[$1] and abilities & $4 = $4 order by place <-> st_makepoint($3, $2)::geography limit {Nearest}),
                one as (select r.id from responder r join nearest n on n.id = r.id where r.free > 0 order by n.metres, r.id for update of r skip locked limit 1),
                taken as (update responder r set free = free - 1 from one where r.id = one.id returning r.id)
                insert into need (id, responder, kind, place) select $5, (select id from taken), $1, st_makepoint($3, $2)::geography returning responder
                """, connection, transaction);
            take.Parameters.AddWithValue(need.Kind);
            take.Parameters.AddWithValue(need.Lat);
            take.Parameters.AddWithValue(need.Lon);
            take.Parameters.AddWithValue(need.Communication);
            take.Parameters.AddWithValue(need.Id);
            await take.PrepareAsync();
            var responder = await take.ExecuteScalarAsync();
            await transaction.CommitAsync();
            return Results.Ok(new { responder = responder is Guid id ? id : (Guid?)null });
        });
        await app.RunAsync();
        return 0;
    }

    public static ChildProcess Start(RunFolder run, string database, Uri address) => run.Start(new ChildStart(
        Verb, Environment.ProcessPath!, [typeof(PostGisPeer).Assembly.Location, Verb],
        new Dictionary<string, string?> { ["PEER_DATABASE"] = database, ["ASPNETCORE_URLS"] = address.AbsoluteUri.TrimEnd('/'), ["DOTNET_gcServer"] = "0" },
        Path.Combine(run.LogsFolder, $"{Verb}.log"), WorkingFolder: AppContext.BaseDirectory));

    static async Task ExecuteAsync(NpgsqlDataSource database, string sql)
    {
        await using var command = database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
