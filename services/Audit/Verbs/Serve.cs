using System.CommandLine;
using Huzhu.Audit.Serving;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace Huzhu.Audit.Verbs;

/// <summary>The same answers over HTTP, for auditors in a browser.</summary>
static class Serve
{
    public static Command Command(IConfiguration configuration)
    {
        var command = new Command("serve", "Answers over HTTP what the other verbs answer, to auditors; at ASPNETCORE_URLS.");
        command.SetAction(async (_, cancellation) =>
        {
            await using var app = AuditApi.Build(configuration);
            await app.StartAsync(cancellation);
            // The host stops by itself on SIGTERM; the command line's own interruption stops it too.
            await using var stop = cancellation.Register(app.Lifetime.StopApplication);
            await app.WaitForShutdownAsync(CancellationToken.None);
            return ExitCodes.Ok;
        });
        return command;
    }
}
