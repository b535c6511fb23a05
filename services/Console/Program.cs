using Huzhu.ServiceDefaults;
using Huzhu.Web.Apis;
using Huzhu.Web.Auditor;
using Huzhu.Web.CallTaker;
using Huzhu.Web.Layout;
using Huzhu.Web.Operations;
using Huzhu.Web.SignIn;

var builder = WebApplication.CreateBuilder(args);
builder.Configuration.AddSecretFiles();
// Beside a build, the files of wwwroot stay where they are; a published service has its own.
builder.WebHost.UseStaticWebAssets();
builder.AddHuzhuTelemetry("console").AddHuzhuLimits();
builder.AddSignIn();
builder.AddApis();
builder.AddPages();
builder.AddCallTaker();

var app = builder.Build();
app.UsePages();
app.MapSignIn();
app.MapCallTaker();
app.MapBoard();
app.MapAuditor();
app.MapPages();
app.Run();
