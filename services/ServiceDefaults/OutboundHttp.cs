using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Configuration;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Calls to addresses that somebody outside has named: HTTPS only, no redirects, no proxy, and never to a private address
/// unless the operator has listed its host.
/// </summary>
/// <param name="AllowedPrivateHosts">Host names or addresses on our own premises.</param>
public sealed record OutboundHttp(IReadOnlySet<string> AllowedPrivateHosts)
{
    private const int LongestAddress = 2048;

    /// <summary>The host resolved to an address that is not public.</summary>
    public sealed class PrivateAddressException() : Exception("The host resolves to a private address.");

    public static OutboundHttp Read(IConfiguration configuration, string key) =>
        new((configuration.GetSection(key).Get<string[]>() ?? []).ToHashSet(StringComparer.OrdinalIgnoreCase));

    public static Uri? UriOf(string? address) =>
        address is { Length: <= LongestAddress } && Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http" && uri.UserInfo.Length == 0
            ? uri
            : null;

    /// <summary>Why this address can never be called, as a reason code; null when it may be tried. No I/O.</summary>
    public string? Refuse(Uri? uri)
    {
        if (uri is null)
            return "malformed-address";
        var allowed = AllowedPrivateHosts.Contains(uri.IdnHost);
        if (uri.Scheme != Uri.UriSchemeHttps && !allowed)
            return "not-https";
        return !allowed && IPAddress.TryParse(uri.IdnHost, out var literal) && !MayReach(literal) ? "private-address" : null;
    }

    public SocketsHttpHandler CreateHandler() => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        // A proxy would resolve names by itself, past the check below.
        UseProxy = false,
        ConnectCallback = ConnectAsync,
        MaxResponseDrainSize = 4096,
        ResponseDrainTimeout = TimeSpan.FromSeconds(1),
        MaxResponseHeadersLength = 16,
        PooledConnectionLifetime = TimeSpan.FromMinutes(2),
        // Addresses may be personal data and must not become the tags of a trace; the other side has no use for our trace ids.
        ActivityHeadersPropagator = null,
    };

    /// <summary>Resolves, checks, and connects to the very address that was checked: a second look-up could answer differently.</summary>
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        var addresses = await Dns.GetHostAddressesAsync(host, cancellation);
        if (!AllowedPrivateHosts.Contains(host) && !addresses.All(MayReach))
            throw new PrivateAddressException();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private bool MayReach(IPAddress address) => PublicAddresses.IsPublic(address) || AllowedPrivateHosts.Contains(address.ToString());
}
