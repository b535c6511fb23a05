using System.CommandLine;
using Huzhu.Local.Infrastructure;

namespace Huzhu.Local.Verbs;

static class Up
{
    public const string Kind = "up";

    /// <summary>What is up now, or null.</summary>
    public static RunFolder? Running(Repository repository) => RunFolder.Existing(repository).FirstOrDefault(run => run.Kind == Kind && run.IsLive);
    const int MostReplicas = 8;

    public static Verb Command()
    {
        var detach = new Option<bool>("--detach", "-d") { Description = "Return when all are ready, and leave them running until ./huzhu down." };
        var replicas = ReplicasOption("Processes of every service; huzhu.json names the first of each");
        var command = new Verb(
            "up",
            "Starts the servers, the four services and the console.",
            """
            Starts PostgreSQL, RabbitMQ, the services and the console on free ports of 127.0.0.1, with new, empty
            databases, and writes addresses, connection strings and tokens to .local/huzhu.json. Without --detach it
            stays until Ctrl-C and then stops everything. The data does not outlive the run.

            Environment variables reach the services as .NET configuration (docs/operations/configuration.md):
              Limits__RequestsPerSecond=1000 ./huzhu up

            HUZHU_SERVERS=native or container says where PostgreSQL and RabbitMQ come from; by default from this
            machine, else from Docker or Podman when one answers, else apt-get installs them.

            Exit codes: 0 ready (--detach) or stopped, 1 a build failed, 2 it runs already, 3 something is missing
            and could not be installed, 4 a server or a service did not start, 130 interrupted before it was ready.
            """)
        {
            detach, replicas,
        };
        command.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(detach), parsed.GetValue(replicas), cancellation));
        return command;
    }

    /// <param name="description">What it counts, without the limits.</param>
    public static Option<int> ReplicasOption(string description)
    {
        var replicas = new Option<int>("--replicas") { Description = $"{description}, 1 to {MostReplicas}.", DefaultValueFactory = _ => 1, HelpName = "N" };
        replicas.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out var value) && value is < 1 or > MostReplicas)
                result.AddError($"--replicas takes a number from 1 to {MostReplicas}, not {value}");
        });
        return replicas;
    }

    static async Task<int> RunAsync(bool detach, int replicas, CancellationToken cancellation)
    {
        var repository = Repository.Find();
        var narrator = Narrator.ToOutput();
        // Held while this program lives; a detached run is recognised by its processes.
        using var alone = FileLock.TryTake(Path.Combine(repository.LocalFolder, "up.lock"))
            ?? throw new UsageException("./huzhu up is running already; ./huzhu status shows it, ./huzhu down stops it.");
        if (RunFolder.Existing(repository).Any(run => run.Kind == Kind && run.IsLive))
            throw new UsageException("./huzhu up --detach is running already; ./huzhu status shows it, ./huzhu down stops it.");
        File.Delete(repository.DescriptionFile);

        var deployment = await LocalDeployment.StartAsync(
            new LocalDeploymentOptions { Kind = Kind, Replicas = replicas, Narrator = narrator, SealedEvery = 1000, Console = true }, cancellation);
        var detached = false;
        try
        {
            deployment.Description.Write(repository);
            foreach (var (service, address) in deployment.Description.Services) narrator.Say($"  {service,-14} {address}");
            narrator.Say($"  {"RabbitMQ",-14} http://127.0.0.1:{deployment.Infrastructure.RabbitMq.ManagementPort} (user and password in huzhu.json)");
            narrator.Say($"Addresses and tokens: {repository.DescriptionFile}");
            if (detach)
            {
                cancellation.ThrowIfCancellationRequested();
                deployment.Infrastructure.Run.Detach();
                detached = true;
                narrator.Say("All are ready. ./huzhu down stops them.");
                return ExitCodes.Ok;
            }

            narrator.Say("All are ready. Ctrl-C stops them.");
            await WatchAsync(deployment, narrator, cancellation);
            return ExitCodes.Ok;
        }
        finally
        {
            if (!detached)
            {
                File.Delete(repository.DescriptionFile);
                await narrator.DuringAsync("Stopping the services and servers", async _ => await deployment.DisposeAsync());
            }
        }
    }

    /// <summary>Stays until it is interrupted, and says when a service ends before.</summary>
    static async Task WatchAsync(LocalDeployment deployment, Narrator narrator, CancellationToken cancellation)
    {
        var ended = new HashSet<string>();
        while (!cancellation.IsCancellationRequested)
        {
            foreach (var service in deployment.Services.Processes.Where(service => !service.IsAlive && ended.Add(service.Name)))
                narrator.Say($"{service.Name} has ended; its log is {service.LogFile}. The others go on.");
            await Task.WhenAny(Task.Delay(500, cancellation));
        }
    }
}
