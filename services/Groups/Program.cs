using Huzhu.Groups;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Features;
using Huzhu.Groups.Formats.Cap;
using Huzhu.Groups.Formats.Hsds;
using Huzhu.ServiceDefaults;

var builder = Hosting.CreateHuzhuBuilder(args, "groups");
builder.AddEventStore(
    [.. EventStore.EventsOf<GroupEvent>(), .. EventStore.EventsOf<ProviderEvent>(), .. EventStore.EventsOf<MeasureEvent>(), .. EventStore.EventsOf<AlertEvent>(), .. EventStore.EventsOf<PersonEvent>()],
    Publishing.Map, options => options.AddViews(), untold: [.. EventStore.EventsOf<AlertEvent>(), typeof(PersonalDataRead)]);
builder.AddMessaging("groups", _ => { });
builder.Services.AddPeople<DirectoryPeople>().AddSingleton<ContactVault>().AddSingleton<Streams>().AddSingleton<MeasuresInForce>();
builder.Services.AddSingleton<ReviewProvider>().AddTimer<ReviewProvider>().AddTimer<ReviewMeasure>().AddTimer<SpreadMeasure>();
builder.Services.AddSingleton(new TermMapping(builder.Configuration));
builder.AddProviderEventConsumer();
builder.AddCap();

var app = builder.Build();
app.UseHuzhuDefaults();
app.MapRegisterResponder();
app.MapChangeResponder();
app.MapChangeStanding();
app.MapPublishOpening();
app.MapReceiveProviderEvent();
app.MapGetResponder();
app.MapListResponders();
app.MapGetContact();
app.MapPublishMeasure();
app.MapLiftMeasure();
app.MapGetMeasures();
app.MapReceiveAlert();
app.MapPeople();
app.MapReadHsds();
app.MapImportHsds();
await app.RunHuzhuAsync(args);
