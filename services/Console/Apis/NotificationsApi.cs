namespace Huzhu.Web.Apis;

/// <summary>Notifications: what people were told.</summary>
public sealed class NotificationsApi(HttpClient http) : Api(http);
