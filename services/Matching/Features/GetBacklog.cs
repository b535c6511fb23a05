using System.Text.Json;
using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Deciding;
using Huzhu.ServiceDefaults;
using Npgsql;

namespace Huzhu.Matching.Features;

/// <param name="State">waiting or escalated.</param>
/// <param name="Reason">The rule that stopped whoever came closest.</param>
public sealed record BacklogEntry(
    NeedId NeedId, RequestId RequestId, string State, string? Reason, DateTimeOffset? Since, string Kind, DeliveryMode Mode, Urgency Urgency,
    IReadOnlyList<CommunicationNeed> Communication, string? SubDistrict, DateTimeOffset SubmittedAt);

public sealed record BacklogPage(IReadOnlyList<BacklogEntry> Items, int Page, int PageSize, long Total);

/// <summary>What nobody can take now, most urgent then oldest.</summary>
public static class GetBacklog
{
    private const int MaxPageSize = 200;

    public static void MapBacklog(this IEndpointRouteBuilder app) => app.MapGet("/v1/backlog", Handle)
        .RequireRoles(Roles.Operator, Roles.Auditor, Roles.Coordinator)
        .WithTags("Backlog").WithSummary("Needs that wait, most urgent then oldest, with reasons.").Produces<BacklogPage>();

    private static async Task<IResult> Handle(NpgsqlDataSource database, CancellationToken cancellation, string? state = null, int page = 1, int pageSize = 50)
    {
        if (state is not (null or "waiting" or "escalated"))
            return Problems.Invalid(new Dictionary<string, string[]> { ["state"] = ["Must be waiting or escalated."] });
        if (page is < 1 or > 1_000_000 || pageSize is < 1 or > MaxPageSize)
            return Problems.Invalid(new Dictionary<string, string[]> { ["page"] = [$"page must be at least 1 and pageSize between 1 and {MaxPageSize}."] });
        var which = state is null ? "backlog is not null" : "backlog is not null and backlog = $1";
        var total = await CountAsync();
        await using var command = database.CreateCommand($"""
            select need, urgency_rank, backlog, reason, since from {Tables.Needs} where {which}
            order by urgency_rank, submitted_at, need_id limit {pageSize} offset {(long)(page - 1) * pageSize}
            """);
        if (state is not null)
            command.Parameters.AddWithValue(state);
        var items = new List<BacklogEntry>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var need = JsonSerializer.Deserialize<Need>(reader.GetString(0), Tables.Json)!;
            items.Add(new BacklogEntry(need.NeedId, need.RequestId, reader.GetString(2), reader.IsDBNull(3) ? null : reader.GetString(3),
                reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4), need.Kind, need.Mode,
                (Urgency)((int)Urgency.LifeThreatening - reader.GetInt32(1)), need.Communication, need.SubDistrict, need.SubmittedAt));
        }
        return Results.Ok(new BacklogPage(items, page, pageSize, total));

        async Task<long> CountAsync()
        {
            await using var count = database.CreateCommand($"select count(*) from {Tables.Needs} where {which}");
            if (state is not null)
                count.Parameters.AddWithValue(state);
            return (long)(await count.ExecuteScalarAsync(cancellation))!;
        }
    }
}
