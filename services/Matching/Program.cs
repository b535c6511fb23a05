using Huzhu.Matching;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Features;
using Huzhu.Matching.Operations;
using Huzhu.ServiceDefaults;
using MassTransit;

var builder = Hosting.CreateHuzhuBuilder(args, "matching");
builder.AddEventStore(
    [.. EventStore.EventsOf<MatchEvent>(), .. EventStore.EventsOf<ResponderEvent>(), .. EventStore.EventsOf<MeasuresEvent>(), .. EventStore.EventsOf<PolicyEvent>(), .. EventStore.EventsOf<PlanEvent>()],
    Publishing.Map, Setup.Configure, untold: [.. EventStore.EventsOf<ResponderEvent>(), .. EventStore.EventsOf<PlanEvent>()]);
builder.AddMatching();
builder.AddMessaging("matching", bus =>
{
    bus.AddConsumer<ReceiveNeedConsumer, ReceiveNeedDefinition>();
    bus.AddConsumer<ReceiveUrgentNeedConsumer, ReceiveUrgentNeedDefinition>();
    bus.AddConsumer<RaiseUrgencyConsumer, RaiseUrgencyDefinition>();
    bus.AddConsumer<CancelNeedConsumer, CancelNeedDefinition>();
    bus.AddConsumer<ConfirmNeedConsumer, ConfirmNeedDefinition>();
    bus.AddConsumer<ReopenNeedConsumer, ReopenNeedDefinition>();
    bus.AddConsumer<HoldNeedConsumer, HoldNeedDefinition>();
    bus.AddConsumer<RecordDeliveryConsumer, RecordDeliveryDefinition>();
    bus.AddConsumer<RecordUndeliverableConsumer, RecordUndeliverableDefinition>();
    bus.AddConsumer<UpdateResponderConsumer, UpdateResponderDefinition>();
    bus.AddConsumer<SealZoneConsumer, SealZoneDefinition>();
    bus.AddConsumer<LiftZoneConsumer, LiftZoneDefinition>();
    bus.AddConsumer<DecideForOthersConsumer, DecideForOthersDefinition>();
}, (_, rabbit) => rabbit.OverrideDefaultBusEndpointQueueName($"matching-replies-{NewId.NextGuid():N}"));

var app = builder.Build();
app.UseHuzhuDefaults();
app.MapMatches();
app.MapAnswers();
app.MapBacklog();
app.MapResponders();
app.MapPolicy();
app.MapAssignments();
PreviewClosure.Map(app);
BoardFeed.Map(app);
await app.RunHuzhuAsync(args);
