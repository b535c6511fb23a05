using System.Collections.Concurrent;
using System.Security.Cryptography;
using Huzhu.Contracts;
using Huzhu.Contracts.Notifications.V1;
using Huzhu.ServiceDefaults;
using JasperFx.Events;
using Marten;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Huzhu.Tests.Integration.ServiceDefaults;

/// <summary>The smallest service that the plumbing can carry: one event, one message, one consumer, one timer.</summary>
internal sealed class SampleService : IAsyncDisposable
{
    public sealed record SomethingHappened(string What);

    /// <summary>A message that only a test's own queue takes.</summary>
    public const string Unrouted = "unrouted";

    private SampleService(WebApplication app) => App = app;

    public WebApplication App { get; }
    public IDocumentStore Store => App.Services.GetRequiredService<IDocumentStore>();
    public PersonalDataVault Vault => App.Services.GetRequiredService<PersonalDataVault>();
    public Received Received => App.Services.GetRequiredService<Received>();
    public Uri Address => new(App.Urls.First());
    public string Token(params string[] roles) => Security.CreateDevelopmentToken(Key, "tester", roles, DateTimeOffset.UtcNow);

    private static readonly byte[] Key = RandomNumberGenerator.GetBytes(32);

    public static async Task<SampleService> StartAsync(string database, string broker, bool consumes = true, byte[]? masterKey = null,
        byte[]? previousMasterKey = null, params string[] settings)
    {
        var app = Build(database, broker, consumes, masterKey, previousMasterKey, settings);
        await app.StartAsync();
        return new SampleService(app);
    }

    /// <summary>The same, and not started.</summary>
    public static WebApplication Build(string database, string broker, bool consumes = true, byte[]? masterKey = null,
        byte[]? previousMasterKey = null, params string[] settings)
    {
        var builder = Hosting.CreateHuzhuBuilder([
            "--environment", "Development", "--urls", "http://127.0.0.1:0", "--Logging:LogLevel:Default", "Error",
            "--ConnectionStrings:EventStore", database, "--ConnectionStrings:Broker", broker,
            "--Auth:Development:SigningKey", Convert.ToBase64String(Key),
            "--PersonalData:MasterKey", Convert.ToBase64String(masterKey ?? new byte[32]),
            .. previousMasterKey is null ? Array.Empty<string>() : ["--PersonalData:PreviousMasterKeys:0", Convert.ToBase64String(previousMasterKey)],
            .. settings], "sample");
        builder.AddEventStore([typeof(SomethingHappened), typeof(DataKeysRewrapped)], Map);
        builder.AddMessaging("sample", bus =>
        {
            if (consumes)
                bus.AddConsumer<SampleConsumer, SampleConsumerDefinition>();
        });
        builder.Services.AddSingleton<Received>();
        builder.Services.AddVault();
        builder.Services.AddTimer<SampleTimer>();
        var app = builder.Build();
        app.UseHuzhuDefaults();
        app.MapPost("/things", (Thing thing) => Microsoft.AspNetCore.Http.Results.Ok(thing)).RequireRoles(Roles.Intake);
        app.MapGet("/refused", () => Huzhu.Deciding.Refusal.Conflict("place-filled", "Somebody was first.").ToProblem()).RequireRoles(Roles.Intake);
        app.MapGet("/broken", string () => throw new InvalidOperationException("secret detail")).RequireRoles(Roles.Intake);
        app.MapGet("/keyed", () => "open").AllowAnonymous()
            .KnownBy(http => ValueTask.FromResult(http.Request.Query["api_key"].ToString() is { } key && Keys.Contains(key) ? $"key {Array.IndexOf(Keys, key)}" : null));
        app.MapGet("/linked", (string? key) => key is not null && Keys.Contains(key) ? Microsoft.AspNetCore.Http.Results.Ok() : Microsoft.AspNetCore.Http.Results.StatusCode(403))
            .AllowAnonymous().KnownByLink();
        return app;
    }

    /// <summary>What opens the ways that need no token.</summary>
    public static readonly string[] Keys = ["first-key", "second-key"];

    public async Task<Guid> AppendAsync(string what)
    {
        await using var session = Store.LightweightSession();
        var id = Guid.CreateVersion7();
        session.Events.StartStream(id, new SomethingHappened(what)).CausedBy(Cause.Current());
        await session.SaveChangesAsync();
        return id;
    }

    public async ValueTask DisposeAsync()
    {
        await App.StopAsync();
        await App.DisposeAsync();
    }

    private static ValueTask<IReadOnlyList<object>> Map(IEvent stored, IQuerySession log, CancellationToken cancellation) =>
        ValueTask.FromResult<IReadOnlyList<object>>(stored.Data switch
        {
            SomethingHappened { What: Unrouted } => [new OfferUndeliverable(default, NeedId.Of(stored.StreamId), default, Unrouted, stored.Timestamp)],
            SomethingHappened happened => [new OfferDelivered(default, NeedId.Of(stored.StreamId), default, happened.What, stored.Timestamp)],
            _ => [],
        });

    public sealed record Thing(string Name, int Count, Urgency Urgency = Urgency.Routine);

    private sealed class SampleConsumer(Received received) : IConsumer<OfferDelivered>
    {
        public Task Consume(ConsumeContext<OfferDelivered> context)
        {
            if (context.Message.Channel == "poison")
                throw new InvalidOperationException("poison");
            received.Messages.Enqueue((context.MessageId!.Value, context.Message.NeedId.Value));
            return Task.CompletedTask;
        }
    }

    private sealed class SampleConsumerDefinition : ConsumerDefinition<SampleConsumer>
    {
        public SampleConsumerDefinition() => ConcurrentMessageLimit = 8;
    }

    private sealed class SampleTimer(Received received) : ITimerHandler
    {
        public string Kind => "sample";

        public Task HandleAsync(Guid subject, CancellationToken cancellation)
        {
            received.Timers.Enqueue(subject);
            return Task.CompletedTask;
        }
    }
}

internal sealed class Received
{
    public ConcurrentQueue<(Guid MessageId, Guid Stream)> Messages { get; } = new();
    public ConcurrentQueue<Guid> Timers { get; } = new();

    public static async Task UntilAsync(Func<bool> holds, string what, int seconds = 20)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(seconds); DateTime.UtcNow < deadline; await Task.Delay(20))
        {
            if (holds())
                return;
        }
        throw new Xunit.Sdk.XunitException($"Waited {seconds} s: {what}.");
    }
}
