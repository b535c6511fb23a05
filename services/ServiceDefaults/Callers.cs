using System.Net;
using System.Net.Sockets;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Whose a call is, as far as limits go: the token's subject; without a token, what the caller has proved to know, a key or
/// a link; and without that the address it comes from. What a caller merely says is nobody: else whoever says something new
/// with every call would have no limit.
/// </summary>
public static class Callers
{
    /// <summary>Networks, such as <c>10.244.0.0/16</c>, of the proxies whose word is taken for where a call comes from.</summary>
    public const string ProxyNetworks = "Proxies:Networks";

    private const int MostLinks = 100_000;
    private static readonly TimeSpan LinkLife = TimeSpan.FromHours(1);

    /// <summary>Callers without a token are named by what they prove, such as a key; null when they prove nothing.</summary>
    /// <param name="name">It asks no database: it is called before the limits. The name is no secret.</param>
    public static T KnownBy<T>(this T endpoints, Func<HttpContext, ValueTask<string?>> name) where T : IEndpointConventionBuilder =>
        endpoints.WithMetadata(new Proof(name));

    /// <summary>
    /// Callers without a token come by a link, whose key is their proof. Whose it is stands in the database, so a link
    /// counts as known once it has opened something here; the first time it goes by the address.
    /// </summary>
    public static T KnownByLink<T>(this T endpoints) where T : IEndpointConventionBuilder => endpoints.WithMetadata(new Link());

    internal static IServiceCollection AddCallers(this IServiceCollection services, IConfiguration configuration)
    {
        var networks = ReadNetworks(configuration);
        services.AddSingleton<OpenedLinks>();
        return services.Configure<ForwardedHeadersOptions>(options =>
        {
            options.ForwardedHeaders = networks.Count == 0 ? ForwardedHeaders.None : ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto;
            // Not even this machine is believed unless it is said so.
            options.KnownProxies.Clear();
            options.KnownIPNetworks.Clear();
            foreach (var network in networks)
                options.KnownIPNetworks.Add(network);
            // From hand to hand for as long as the hands are known ones.
            options.ForwardLimit = null;
        });
    }

    /// <summary>Takes the address of the caller from the proxies that are trusted; from nobody where none is configured. Comes first.</summary>
    public static IApplicationBuilder UseTrustedProxies(this IApplicationBuilder app) =>
        app.ApplicationServices.GetRequiredService<IOptions<ForwardedHeadersOptions>>().Value.ForwardedHeaders == ForwardedHeaders.None ? app : app.UseForwardedHeaders();

    /// <summary>Finds out who calls. Comes after authentication and before the limits.</summary>
    internal static IApplicationBuilder UseCallers(this IApplicationBuilder app)
    {
        var opened = app.ApplicationServices.GetRequiredService<OpenedLinks>();
        return app.Use(async (context, next) =>
        {
            var metadata = context.User.Identity?.IsAuthenticated == true ? null : context.GetEndpoint()?.Metadata;
            if (metadata?.GetMetadata<Proof>() is { } proof && await proof.Name(context) is { } name)
                context.Features.Set(new Caller(name));
            var link = metadata?.GetMetadata<Link>() is null || context.Request.Query["key"].ToString() is not { Length: > 0 and <= 256 } key ? null : OpenedLinks.NameOf(key);
            if (link is not null && opened.Contains(link))
                context.Features.Set(new Caller(link));
            else if (link is not null)
                context.Response.OnStarting(() =>
                {
                    // Without a token nothing but the right key opens these.
                    if (context.Response.StatusCode < 400)
                        opened.Remember(link);
                    return Task.CompletedTask;
                });
            await next(context);
        });
    }

    /// <summary>The name of whoever calls.</summary>
    internal static string Of(HttpContext context) =>
        context.User.FindFirstValue("sub") is { } subject ? $"subject {subject}"
        : context.Features.Get<Caller>() is { } caller ? $"known {caller.Name}"
        : $"address {NetworkOf(context.Connection.RemoteIpAddress)}";

    /// <summary>Whoever has one address of IPv6 has all 2^64 of its network.</summary>
    internal static string NetworkOf(IPAddress? address)
    {
        if (address is null)
            return "unknown";
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
            return address.ToString();
        var bytes = address.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return $"{new IPAddress(bytes)}/64";
    }

    /// <exception cref="InvalidOperationException">One is no network.</exception>
    private static List<System.Net.IPNetwork> ReadNetworks(IConfiguration configuration) =>
    [
        .. configuration.GetSection(ProxyNetworks).GetChildren().Select(child => System.Net.IPNetwork.TryParse(child.Value, out var network)
            ? network
            : throw new InvalidOperationException($"{child.Path} must be a network such as 10.244.0.0/16, not '{child.Value}'.")),
    ];

    private sealed record Caller(string Name);
    private sealed record Proof(Func<HttpContext, ValueTask<string?>> Name);
    private sealed record Link;

    /// <summary>Links that have opened something here lately; nothing is kept that a link could be read from.</summary>
    internal sealed class OpenedLinks : IDisposable
    {
        private readonly MemoryCache _opened = new(new MemoryCacheOptions { SizeLimit = MostLinks });

        public static string NameOf(string key) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(key)));

        public bool Contains(string link) => _opened.TryGetValue(link, out _);

        public void Remember(string link) => _opened.Set(link, true, new MemoryCacheEntryOptions { Size = 1, SlidingExpiration = LinkLife });

        public void Dispose() => _opened.Dispose();
    }
}
