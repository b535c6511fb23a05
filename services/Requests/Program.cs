using Huzhu.Requests;
using Huzhu.Requests.Channels;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Features;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using MassTransit;

var builder = Hosting.CreateHuzhuBuilder(args, "requests");
builder.Services
    .AddPeople<RequestPeople>().AddSingleton<PersonalRecords>().AddSingleton<PersonLinks>().AddSingleton<RequestLinks>().AddSingleton<VisitKeys>().AddSingleton<Fingerprints>()
    .AddSingleton(SubDistrictMap.Load(builder.Configuration)).AddSingleton(new SourceChannels(builder.Configuration)).AddScoped<ActOnRequest>()
    // Before the bus and the web server, so that they stop before these do.
    .AddSingleton<Submissions>().AddHostedService(services => services.GetRequiredService<Submissions>()).AddSingleton<MatchRecords>().AddHostedService(services => services.GetRequiredService<MatchRecords>())
    .AddSingleton<AdmissionControl>().AddHostedService(services => services.GetRequiredService<AdmissionControl>()).AddHostedService<IdempotencyKeys.Expiry>().AddFrontEnds(builder.Configuration);
builder.AddEventStore([.. EventStore.EventsOf<RequestEvent>(), .. EventStore.EventsOf<ConversationEvent>(), .. EventStore.EventsOf<AdmissionEvent>(), .. EventStore.EventsOf<PersonEvent>()], Publishing.Map, options =>
{
    options.Storage.ExtendedSchemaObjects.Add(IdempotencyKeys.Table());
    RequestView.Configure(options);
}, untold: [typeof(NeedStateRecorded), typeof(PersonalDataRead), .. EventStore.EventsOf<ConversationEvent>(), .. EventStore.EventsOf<AdmissionEvent>()]);
builder.AddMessaging("requests", bus => bus.AddConsumer<RecordMatchConsumer, RecordMatchConsumerDefinition>());

var app = builder.Build().UseHuzhuDefaults();
SubmitRequest.Map(app);
CompleteIntake.Map(app);
GetRequest.Map(app);
ListRequests.Map(app);
CancelRequest.Map(app);
ConfirmRequest.Map(app);
DisputeRequest.Map(app);
ReopenRequest.Map(app);
RaiseConcern.Map(app);
ReleaseHold.Map(app);
GetContact.Map(app);
GetVisit.Map(app);
OwnRequest.Map(app);
FindRepeats.Map(app);
GetAdmission.Map(app);
app.MapPeople();
app.MapFrontEnds();
await app.RunHuzhuAsync(args);
