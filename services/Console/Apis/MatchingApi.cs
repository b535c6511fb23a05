namespace Huzhu.Web.Apis;

/// <summary>Matching: offers, matches, the backlog.</summary>
public sealed class MatchingApi(HttpClient http) : Api(http);
