namespace Huzhu.Local.Scenarios;

static class ReportPage
{
    public static string Render(Report report) => report.Title;
}
