using Huzhu.Audit.Verbs;
using Huzhu.ServiceDefaults;
using Microsoft.Extensions.Configuration;

using var interruption = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true;
    interruption.Cancel();
};
var configuration = new ConfigurationManager();
configuration.AddEnvironmentVariables();
return await AuditCommand.RunAsync(args, configuration.AddSecretFiles(), Console.Out, Console.Error, interruption.Token);
