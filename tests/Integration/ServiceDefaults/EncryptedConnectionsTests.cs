using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Huzhu.Local.Infrastructure;
using Huzhu.ServiceDefaults;
using Huzhu.TestKit;
using Huzhu.Tests.Integration.Groups;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Npgsql;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Xunit;

namespace Huzhu.Tests.Integration.ServiceDefaults;

/// <summary>TLS to database and broker is a matter of connection strings: a service that runs through both, and servers that are not who they say.</summary>
public sealed class EncryptedConnectionsTests(Servers servers)
{
    [Fact]
    public async Task a_service_speaks_tls_to_database_and_broker_where_its_connection_strings_say_so()
    {
        using var authority = new Authority();
        TlsFront? postgres = null, rabbit = null;
        // What a service trusts is what the system trusts.
        var trusted = new Dictionary<string, string> { ["SSL_CERT_FILE"] = authority.File };
        try
        {
            await using (var groups = await GroupsService.StartAsync(servers, through: (database, amqp) =>
            {
                (postgres, rabbit) = (TlsFront.Of(database, authority), TlsFront.Of(new Uri(amqp), authority));
                return (postgres.Secured(database), rabbit.Secured(amqp));
            }, environment: trusted))
            {
                // Written through the one, told through the other; the consumer of providers' events has a connection of its own.
                var id = await groups.RegisterAsync("/v1/groups");
                await groups.ToldOfAsync(id, 1);
            }
            Assert.True(postgres!.Handshakes > 0 && rabbit!.Handshakes > 1, "Nobody spoke TLS.");
        }
        finally
        {
            postgres?.Dispose();
            rabbit?.Dispose();
        }
    }

    [Fact]
    public async Task a_server_that_nobody_trusts_gets_no_password()
    {
        using var authority = new Authority();
        using var stranger = new Authority();
        var (database, amqp) = (await servers.CreateDatabaseAsync("tls"), await servers.CreateVirtualHostAsync());
        using var postgres = TlsFront.Of(database, stranger);
        using var rabbit = TlsFront.Of(new Uri(amqp), stranger);
        await using var connection = new NpgsqlConnection(postgres.Secured(database, authority.File));
        var refused = await Assert.ThrowsAsync<NpgsqlException>(() => connection.OpenAsync(TestContext.Current.CancellationToken));
        Assert.IsType<AuthenticationException>(refused.InnerException);
        await Assert.ThrowsAsync<BrokerUnreachableException>(() => new ConnectionFactory { Uri = new Uri(rabbit.Secured(amqp)), AutomaticRecoveryEnabled = false }.CreateConnectionAsync(TestContext.Current.CancellationToken));

        // The bus goes on trying; a second attempt means that the first one was given up.
        var address = new Uri(rabbit.Secured(amqp));
        var before = rabbit.Attempts;
        var bus = Bus.Factory.CreateUsingRabbitMq(configure => configure.Host(address, host => host.UseTlsFor(address)));
        using var enough = new CancellationTokenSource();
        var starting = bus.StartAsync(enough.Token);
        await Received.UntilAsync(() => rabbit.Attempts >= before + 2, "the bus to try again", seconds: 60);
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => starting);
        Assert.Equal((0, 0), (postgres.Handshakes, rabbit.Handshakes));
    }

    /// <summary>Both sides show a certificate, to a RabbitMQ that asks for one; the bus and the connections beside it.</summary>
    [Fact]
    public async Task a_broker_that_asks_for_a_certificate_takes_who_has_one_and_nobody_else()
    {
        var installation = (await Provisioning.FindOrInstallAsync(Repository.Find(), Narrator.Silent, TestContext.Current.CancellationToken)).RabbitMq as Installation.Native;
        Assert.SkipWhen(installation is null, "A broker in a container has no files of ours.");
        using var authority = new Authority();
        using var stranger = new Authority();
        var run = (await servers.InfrastructureAsync()).Run;
        await using var broker = await RabbitMqServer.StartMutualAsync(installation!, run, new BrokerCertificates(authority.File, authority.CertificateFile, authority.KeyFile), TestContext.Current.CancellationToken);

        await RefusedAsync($"?cacertfile={authority.File}");
        await RefusedAsync($"?cacertfile={authority.File}&certfile={stranger.CertificateFile}&keyfile={stranger.KeyFile}");
        // And the other way round: a broker that is not who it should be.
        await RefusedAsync($"?certfile={authority.CertificateFile}&keyfile={authority.KeyFile}");
        await RefusedAsync($"?cacertfile={stranger.File}&certfile={authority.CertificateFile}&keyfile={authority.KeyFile}");
        await RefusedAsync($"?cacertfile={authority.File}&certfile={authority.CertificateFile}&keyfile={authority.KeyFile}", host: "127.0.0.1");

        // Of two nodes, one that is away: the other shows and is shown the same.
        var files = $"?cacertfile={authority.File}&certfile={authority.CertificateFile}&keyfile={authority.KeyFile}";
        var away = new UriBuilder(broker.AmqpsUri()) { Port = FreePorts.Next() }.Uri.AbsoluteUri;
        var address = $"{away}{files},{broker.AmqpsUri()}{files}";
        foreach (var node in new[] { broker.AmqpsUri() + files, address })
            await using (var beside = await ConnectAsync(node))
                Assert.True(beside.IsOpen);
        await using var service = await SampleService.StartAsync(await servers.CreateDatabaseAsync("mutual"), address);
        await service.AppendAsync("told over TLS");
        await Received.UntilAsync(() => service.Received.Messages.Count == 1, "the message to come", seconds: 60);

        Task RefusedAsync(string query, string host = "localhost") => Assert.ThrowsAsync<BrokerUnreachableException>(() =>
            ConnectAsync(new UriBuilder(broker.AmqpsUri()) { Host = host }.Uri.AbsoluteUri + query));

        static Task<IConnection> ConnectAsync(string address) => new ConnectionFactory { AutomaticRecoveryEnabled = false }.ConnectAsync(
            new ConfigurationBuilder().AddInMemoryCollection([new("ConnectionStrings:Broker", address)]).Build(), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task a_database_that_asks_for_a_certificate_is_shown_the_one_of_the_connection_string()
    {
        using var authority = new Authority();
        var database = await servers.CreateDatabaseAsync("mutual");
        using var postgres = TlsFront.Of(database, authority, asks: true);
        await using var without = new NpgsqlConnection(postgres.Secured(database));
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => without.OpenAsync(TestContext.Current.CancellationToken));
        Assert.Equal(0, postgres.Handshakes);
        await using var with = new NpgsqlConnection($"{postgres.Secured(database)};SSL Certificate={authority.CertificateFile};SSL Key={authority.KeyFile}");
        await with.OpenAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, postgres.Handshakes);
    }

    /// <summary>Signs one certificate, for localhost.</summary>
    private sealed class Authority : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("huzhu-tls-");

        public Authority()
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest("CN=Huzhu test authority", key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            using var authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            System.IO.File.WriteAllText(File, authority.ExportCertificatePem());

            using var own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var server = new CertificateRequest("CN=localhost", own, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName("localhost");
            server.CertificateExtensions.Add(names.Build());
            using var signed = server.Create(authority, DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddHours(12), RandomNumberGenerator.GetBytes(8));
            Certificate = signed.CopyWithPrivateKey(own);
            System.IO.File.WriteAllText(CertificateFile, Certificate.ExportCertificatePem());
            System.IO.File.WriteAllText(KeyFile, own.ExportPkcs8PrivateKeyPem());
        }

        public string File => Path.Combine(_folder.FullName, "ca.pem");
        public string CertificateFile => Path.Combine(_folder.FullName, "cert.pem");
        public string KeyFile => Path.Combine(_folder.FullName, "key.pem");
        public X509Certificate2 Certificate { get; }

        public void Dispose()
        {
            Certificate.Dispose();
            _folder.Delete(recursive: true);
        }
    }

    /// <summary>Takes TLS and passes on what is in it to a server on this machine, as PostgreSQL or RabbitMQ with a certificate would.</summary>
    private sealed class TlsFront : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly Authority _authority;
        private readonly int _target;
        private readonly bool _isPostgres, _asks;
        private int _handshakes, _attempts;

        private TlsFront(int target, bool isPostgres, Authority authority, bool asks)
        {
            (_target, _isPostgres, _authority, _asks) = (target, isPostgres, authority, asks);
            _listener.Start();
            _ = AcceptAsync();
        }

        /// <param name="asks">Whoever shows no certificate is refused.</param>
        public static TlsFront Of(string database, Authority authority, bool asks = false) => new(new NpgsqlConnectionStringBuilder(database).Port, isPostgres: true, authority, asks);

        public static TlsFront Of(Uri amqp, Authority authority) => new(amqp.Port, isPostgres: false, authority, asks: false);

        public int Attempts => Volatile.Read(ref _attempts);
        public int Handshakes => Volatile.Read(ref _handshakes);

        public string Secured(string address, string? root = null) => _isPostgres
            ? new NpgsqlConnectionStringBuilder(address) { Host = "localhost", Port = Port, SslMode = SslMode.VerifyFull, RootCertificate = root ?? _authority.File }.ConnectionString
            : new UriBuilder(address) { Scheme = "amqps", Host = "localhost", Port = Port }.Uri.AbsoluteUri;

        public void Dispose() => _listener.Dispose();

        private int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                    _ = ServeAsync(await _listener.AcceptTcpClientAsync());
            }
            catch (Exception exception) when (exception is ObjectDisposedException or SocketException)
            {
                // The test is over.
            }
        }

        private async Task ServeAsync(TcpClient client)
        {
            using var _ = client;
            Interlocked.Increment(ref _attempts);
            try
            {
                if (_isPostgres)
                {
                    // "Do you speak TLS?": eight bytes, answered by one letter.
                    await client.GetStream().ReadExactlyAsync(new byte[8]);
                    await client.GetStream().WriteAsync("S"u8.ToArray());
                }
                await using var secured = new SslStream(client.GetStream());
                await secured.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = _authority.Certificate,
                    ClientCertificateRequired = _asks,
                    RemoteCertificateValidationCallback = (_, shown, _, _) => !_asks || shown?.GetRawCertData().SequenceEqual(_authority.Certificate.RawData) == true,
                });
                using var server = new TcpClient();
                await server.ConnectAsync(IPAddress.Loopback, _target);
                // A client that does not trust us finishes the handshake's first half, and hangs up.
                var first = new byte[1];
                if (await secured.ReadAsync(first) == 0)
                    return;
                Interlocked.Increment(ref _handshakes);
                await server.GetStream().WriteAsync(first);
                await Task.WhenAny(secured.CopyToAsync(server.GetStream()), server.GetStream().CopyToAsync(secured));
            }
            catch (Exception exception) when (exception is IOException or AuthenticationException or SocketException)
            {
                // Whoever it was is gone.
            }
        }
    }
}
