namespace Huzhu.Web.Apis;

/// <summary>Groups: the directory of groups and providers, and measures.</summary>
public sealed class GroupsApi(HttpClient http) : Api(http);
