using Huzhu.Requests.Channels.Hotline;
using Huzhu.Requests.Channels.WeChat;

namespace Huzhu.Requests.Channels;

/// <summary>The front ends that this service hosts. A new one is a folder, a line for what it needs and a line for where it listens.</summary>
public static class Installed
{
    public static IServiceCollection AddFrontEnds(this IServiceCollection services, IConfiguration configuration) => services
        .AddSingleton(new WeChatAccounts(configuration))
        .AddSingleton(new HotlineAccounts(configuration))
        .AddSingleton<Spool>().AddSingleton<Conversations>()
        .AddSingleton<Inbox>().AddHostedService(provider => provider.GetRequiredService<Inbox>());

    public static void MapFrontEnds(this IEndpointRouteBuilder app)
    {
        ReceiveWeChatMessage.Map(app);
        ReceiveCall.Map(app);
    }
}
