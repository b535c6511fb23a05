using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MassTransit;
using Microsoft.AspNetCore.WebUtilities;
using RabbitMQ.Client;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// TLS with the broker where its address says <c>amqps</c>, and what RabbitMQ's own clients read from such an address:
/// <c>cacertfile</c>, whom to trust instead of whom the system trusts; <c>certfile</c> and <c>keyfile</c>, what to show to a
/// broker that asks. All are PEM, and read anew for each connection: a certificate that was renewed needs no restart.
/// </summary>
public static class BrokerTls
{
    private const string CaFile = "cacertfile", CertificateFile = "certfile", KeyFile = "keyfile";

    /// <summary>
    /// The library takes <c>amqps</c> and speaks in clear unless it is told; and it would accept any certificate by itself.
    /// </summary>
    public static void UseTlsFor(this IRabbitMqHostConfigurator host, Uri broker)
    {
        if (broker.Scheme != "amqps")
            return;
        var files = Files.Of(broker);
        host.UseSsl(ssl =>
        {
            ssl.Protocol = SslProtocols.None;
            ssl.ServerName = broker.Host;
            ssl.EnforcePolicyErrors(SslPolicyErrors.RemoteCertificateChainErrors | SslPolicyErrors.RemoteCertificateNameMismatch | SslPolicyErrors.RemoteCertificateNotAvailable);
            if (files.Ca is not null)
                ssl.CertificateValidationCallback = files.Trusts;
            if (files.Certificate is not null)
                ssl.CertificateSelectionCallback = files.Shown;
        });
    }

    /// <summary>The same for connections that are not the bus's, of which the factory knows the address already.</summary>
    public static void UseTlsFor(this ConnectionFactory factory, Uri broker)
    {
        if (broker.Scheme != "amqps")
            return;
        var files = Files.Of(broker);
        factory.Ssl.Version = SslProtocols.None;
        if (files.Ca is not null)
            factory.Ssl.CertificateValidationCallback = files.Trusts;
        if (files.Certificate is not null)
            factory.Ssl.CertificateSelectionCallback = files.Shown;
    }

    /// <summary>The address as the libraries want it.</summary>
    public static Uri WithoutFiles(Uri broker) => new UriBuilder(broker) { Query = "" }.Uri;

    /// <exception cref="InvalidOperationException">Something is asked for that there is not, or a file cannot be read; the address, which has a password, is not repeated.</exception>
    internal static void Check(Uri broker, string setting)
    {
        var asked = QueryHelpers.ParseQuery(broker.Query);
        if (asked.Keys.FirstOrDefault(name => name is not (CaFile or CertificateFile or KeyFile)) is { } unknown)
            throw new InvalidOperationException($"{setting}: '{unknown}' means nothing here; {CaFile}, {CertificateFile} and {KeyFile} do.");
        if (asked.Count > 0 && broker.Scheme != "amqps")
            throw new InvalidOperationException($"{setting}: {CaFile}, {CertificateFile} and {KeyFile} are for amqps://.");
        var files = Files.Of(broker);
        if (files.Certificate is null != files.Key is null)
            throw new InvalidOperationException($"{setting}: {CertificateFile} and {KeyFile} come together.");
        try
        {
            if (files.Ca is not null && files.Authorities().Count == 0)
                throw new CryptographicException("no certificate is in it");
            if (files.Certificate is not null)
                files.Load().Dispose();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new InvalidOperationException($"{setting}: a file of {CaFile}, {CertificateFile} or {KeyFile} cannot be used: {exception.Message}");
        }
    }

    private sealed record Files(string? Ca, string? Certificate, string? Key)
    {
        public static Files Of(Uri broker)
        {
            var asked = QueryHelpers.ParseQuery(broker.Query);
            return new Files(Named(CaFile), Named(CertificateFile), Named(KeyFile));

            string? Named(string name) => asked.TryGetValue(name, out var file) && file.ToString() is { Length: > 0 } path ? path : null;
        }

        public X509Certificate2Collection Authorities()
        {
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPemFile(Ca!);
            return authorities;
        }

        public X509Certificate2 Load() => X509Certificate2.CreateFromPemFile(Certificate!, Key);

        public X509Certificate Shown(object sender, string host, X509CertificateCollection known, X509Certificate? remote, string[] issuers) => Load();

        /// <summary>The name must be right, and the chain must end with one of ours.</summary>
        public bool Trusts(object sender, X509Certificate? shown, X509Chain? sent, SslPolicyErrors errors)
        {
            if (shown is not X509Certificate2 certificate || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None)
                return false;
            using var chain = new X509Chain();
            chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            chain.ChainPolicy.CustomTrustStore.AddRange(Authorities());
            chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            // For a server, and not for something else.
            chain.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.1"));
            foreach (var element in sent?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
                chain.ChainPolicy.ExtraStore.Add(element.Certificate);
            return chain.Build(certificate);
        }
    }
}
