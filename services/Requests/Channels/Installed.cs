using Huzhu.Requests.Channels.Hotline;
using Huzhu.Requests.Channels.Open311;
using Huzhu.Requests.Channels.WeChat;
using Huzhu.ServiceDefaults;

namespace Huzhu.Requests.Channels;

/// <summary>The front ends that this service hosts. A new one is a folder beside this file and a line in the list.</summary>
public static class Installed
{
    private static readonly IReadOnlyList<IFrontEnd> FrontEnds =
    [
        new ReceiveWeChatMessage(),
        new ReceiveCall(),
        new GeoReportFrontEnd(),
    ];

    public static IServiceCollection AddFrontEnds(this IServiceCollection services, IConfiguration configuration)
    {
        foreach (var frontEnd in FrontEnds)
            frontEnd.Add(services, configuration);
        if (configuration[NotificationsDesk.AddressKey] is { Length: > 0 })
        {
            services.AddServiceClient(configuration, NotificationsDesk.AddressKey);
            services.AddSingleton<NotificationsDesk>();
        }
        return services
            .AddSingleton<Spool>().AddSingleton<IForgetsPeople>(provider => provider.GetRequiredService<Spool>()).AddSingleton<Conversations>()
            .AddSingleton<Hearing>(provider => provider.GetRequiredService<Conversations>().HearAsync)
            .AddSingleton<Telling>(provider => provider.GetService<NotificationsDesk>() is { } desk ? desk.TellAsync : (_, _, _, _) => Task.CompletedTask)
            .AddSingleton<Inbox>().AddHostedService(provider => provider.GetRequiredService<Inbox>());
    }

    public static void MapFrontEnds(this IEndpointRouteBuilder app)
    {
        foreach (var frontEnd in FrontEnds)
            frontEnd.Map(app);
    }
}
